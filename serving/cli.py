"""``nexus recommend``: asks the running API and prints a calm table.

Belongs here: the command. Does not belong here: anything heavy at import, any rule.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from serving.mint_cli import mint

WITHIN_S = 10.0


def register(app: typer.Typer) -> None:
    """Add the commands of this area."""
    app.command("recommend", epilog="Example: bin/nexus recommend movielens:1 -n 5")(recommend)
    app.command("mint", epilog="Example: bin/nexus mint movielens:1 --royalty-bps 500")(mint)
    app.command("why", epilog="Example: bin/nexus why 019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071")(why)


def recommend(
    user: Annotated[str, typer.Argument(help="a viewer: UUID, or issuer:value as in movielens:1")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=100, help="how many titles")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="the answer as data")] = False,
) -> None:
    """Recommend titles to a viewer, with the reason for each."""
    import orjson

    from nexus import ids
    from nexus.settings import load

    ids.parse(user, field="user")
    answer = _ask(load(), user, count)
    if as_json:
        typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
    else:
        _show(user, answer)


def why(
    recommendation_id: Annotated[str, typer.Argument(help="of an answer; bin/nexus recommend shows it")],
    titles: Annotated[int, typer.Option("--titles", min=1, max=100, help="how many titles to show")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="all of it, as data")] = False,
) -> None:
    """Go from a recommendation back to its model, training data and the raw rows that mattered."""
    import orjson

    from nexus.cli.output import console
    from nexus.settings import load
    from serving.why.service import explain

    answer = explain(load(), recommendation_id)
    if as_json:
        typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
        return
    from serving.why.show import show

    show(answer, console(), at_most=titles)


def _ask(settings: Any, user: str, count: int) -> dict[str, Any]:
    from urllib.parse import quote

    import httpx

    from nexus.errors import Category, NexusError, unavailable
    from nexus.settings import not_started

    if settings.api.url is None:
        raise not_started("api")
    url = f"{settings.api.url.rstrip('/')}/v1/users/{quote(user, safe='')}/recommendations"
    try:
        response = httpx.get(url, params={"limit": count}, timeout=WITHIN_S, trust_env=False)
        answer: dict[str, Any] = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise unavailable(
            "the API does not answer", remedy="see bin/nexus status; bin/nexus up starts it", url=settings.api.url
        ) from error
    if response.is_error:
        raise NexusError(
            answer.get("detail") or "the API refused",
            category=Category.NOT_FOUND if response.status_code == httpx.codes.NOT_FOUND else Category.INVALID,
            field=answer.get("field"),
            value=answer.get("value"),
            remedy=answer.get("remedy"),
        )
    return answer


def _show(user: str, answer: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    served = f"model {answer['model_version']}" if answer["source"] == "champion" else f"{answer['source']} titles"
    table = Table(title=f"For {user}, by {served}", title_justify="left", box=None, pad_edge=False, header_style="dim")
    table.add_column("", justify="right", style="dim")
    table.add_column("title", overflow="fold")
    table.add_column("score", justify="right")
    table.add_column("why", overflow="fold", style="dim")
    for rank, item in enumerate(answer["items"], 1):
        table.add_row(str(rank), item["title"], f"{item['score']:.3f}", item["reason"]["text"])
    console.print(table if answer["items"] else f"Nothing to recommend to {user}: they know every title here.")
    console.print(f"  next:  bin/nexus why {answer['recommendation_id']}", style="dim", highlight=False)
