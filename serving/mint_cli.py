"""``nexus mint``: asks the running API for a title's token and follows the operation to its end.

Belongs here: the command and what it prints. Does not belong here: anything heavy at import, any rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nexus.cli.output import Progress

WITHIN_S = 15.0
LOOK_EVERY_S = 0.4
AWAY_FOR_S = 60.0
_WORDS = {
    "validate": "title checked",
    "metadata": "metadata written",
    "pin": "pinned on IPFS",
    "manifest": "manifest signed",
    "send": "transaction sent",
    "final": "block final",
    "record": "token written down",
    "publish": "others told",
}


def mint(
    content: Annotated[str, typer.Argument(help="a title: UUID, or issuer:value as in movielens:1")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="ADDRESS", help="its owner; left out: the platform's treasury")
    ] = None,
    royalty_bps: Annotated[
        int | None,
        typer.Option("--royalty-bps", metavar="N", help="basis points of a sale, 0 to 10000; left out: the default"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the token with its proof, as data")] = False,
) -> None:
    """Mint a title's token and follow it: one title, one token, however often it is asked for."""
    import orjson

    from nexus import ids
    from nexus.cli.output import Progress, console
    from nexus.settings import load

    ids.parse(content, field="content")
    api = _Api(load())
    wanted = {"to": to, "royalty_bps": royalty_bps}
    path = f"/v1/content/{_quoted(content)}"
    operation = api.ask("POST", f"{path}/mint", {name: one for name, one in wanted.items() if one is not None})
    out = console(is_error=as_json)  # standard output is for the data
    with Progress(out) as progress:
        progress.say(f"operation {operation['operation_id']}")
        ended = _follow(api, operation["operation_id"], progress)
    _refuse(ended)
    token = api.ask("GET", f"/v1/tokens/{ended['result']['token_id']}")
    if as_json:
        typer.echo(orjson.dumps(ended["result"] | token, option=orjson.OPT_INDENT_2).decode())
    else:
        _show(token)


class _Api:
    """The running API."""

    def __init__(self, settings: Any) -> None:
        from nexus.settings import not_started

        if settings.api.url is None:
            raise not_started("api")
        self._url = settings.api.url.rstrip("/")

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """One question.

        Raises:
            NexusError: What the API refused, in its own words; ``unavailable`` when it does not answer.
        """
        import httpx

        from nexus.errors import unavailable

        try:
            response = httpx.request(method, self._url + path, json=body, timeout=WITHIN_S, trust_env=False)
            answer: dict[str, Any] = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise unavailable(
                "the API does not answer", remedy="see bin/nexus status; bin/nexus up starts it", url=self._url
            ) from error
        if response.is_error:
            raise _problem(response.status_code, answer)
        return answer


def _problem(status: int, answer: dict[str, Any]) -> Exception:
    from nexus.errors import Category, NexusError

    category = {404: Category.NOT_FOUND, 409: Category.CONFLICT, 503: Category.UNAVAILABLE}
    field = answer.get("field")
    return NexusError(
        answer.get("detail") or "the API refused",
        category=category.get(status, Category.INVALID),
        field="--royalty-bps" if field == "royalty_bps" else "--to" if field == "to" else field,
        value=answer.get("value"),
        remedy=answer.get("remedy"),
    )


def _follow(api: _Api, operation_id: str, progress: Progress) -> dict[str, Any]:
    """Print each step as it ends, and what is waited for; an API that restarts meanwhile is waited for too."""
    told: dict[str, str] = {}
    for answer in _looks(api, operation_id):
        for step in answer["steps"]:
            _tell(step, told, progress)
        if answer["state"] != "running":
            return answer
    raise AssertionError  # the looks end with the operation


def _looks(api: _Api, operation_id: str) -> Iterator[dict[str, Any]]:
    import time

    from nexus.errors import NexusError

    answered = time.monotonic()
    while True:
        try:
            answer = api.ask("GET", f"/v1/operations/{_quoted(operation_id)}")
        except NexusError as error:
            if not error.retryable or time.monotonic() - answered > AWAY_FOR_S:
                raise
        else:
            answered = time.monotonic()
            yield answer
        time.sleep(LOOK_EVERY_S)


def _tell(step: dict[str, Any], told: dict[str, str], progress: Progress) -> None:
    name, state, detail = step["name"], step["state"], step.get("detail") or ""
    said = f"{state} {detail}"
    if told.get(name) == said:
        return
    told[name] = said
    words = _WORDS.get(name, name)
    if state == "completed":
        progress.is_ready(words, _seconds(step), detail)
    elif state == "failed":
        progress.failed(words, detail, _seconds(step))
    elif state == "running":
        progress.began(words)
        if detail:
            progress.say(f"  ...  {words}: {detail}")


def _seconds(step: dict[str, Any]) -> float:
    from datetime import datetime

    if not step.get("started_at") or not step.get("finished_at"):
        return 0.0
    took = datetime.fromisoformat(step["finished_at"]) - datetime.fromisoformat(step["started_at"])
    return max(0.0, took.total_seconds())


def _refuse(ended: dict[str, Any]) -> None:
    """An operation that ended without a token is an error with its own words."""
    from nexus.errors import Category, NexusError

    if ended["state"] == "completed":
        return
    error = ended.get("error") or {}
    kind = error.get("category")
    raise NexusError(
        error.get("message") or f"the operation ended as {ended['state']}",
        category=Category(kind) if kind in set(Category) else Category.INTERNAL,
        field="operation_id",
        value=ended["operation_id"],
        remedy=error.get("remedy") or "see bin/nexus logs worker; the same command tries again",
    )


def _show(token: dict[str, Any]) -> None:
    from rich.text import Text

    from nexus.cli.output import console

    proof = token["proof"]
    lines: list[tuple[str, object]] = [
        ("token", token["token_id"]),
        ("owner", token["owner"]),
        ("contract", f"{token['contract']} on {token['chain']} ({token['chain_id']})"),
        ("transaction", token["tx_hash"]),
        ("block", token["block_number"]),
        ("metadata", token["metadata_uri"]),
    ]
    if proof is not None:
        holds = "holds" if proof["is_valid"] else "DOES NOT HOLD"
        lines += [("proof", f"{proof['algorithm']} signature {holds}, by {proof['public_key']}")]
    lines += [("gateway", url) for url in token["gateways"]]
    out = console()
    out.print()
    for name, value in lines:
        out.print(Text(f"{name:<12} ", style="dim") + Text(str(value)))  # never broken: these are there to be copied
    out.print(f"  next:  open the title's page, or GET /v1/tokens/{token['token_id'][:8]}...", style="dim")


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")
