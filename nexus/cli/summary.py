"""What ``up`` shows at its end: addresses, one viewer's recommendations with reasons, the next useful commands.

Belongs here: asking the API as any client would. Does not belong here: starting anything.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from nexus.errors import NexusError
from nexus.settings import Settings

VIEWER = "movielens:1"
_SHOWN = 5
_PATIENCE_S = 20.0


def show(settings: Settings, out: Console) -> None:
    """Print it."""
    out.print()
    for name, url in _addresses(settings):
        out.print(Text(f"  {name:<14}", style="dim") + Text(url))
    viewer = _example(settings)
    for title, lines in _viewer(settings, viewer):
        out.print()
        out.print(Text(title, style="bold"))
        for line in lines:
            out.print(Text(f"  {line}"))
    out.print()
    out.print(Text("next", style="bold"))
    for command, purpose in (
        (f"bin/nexus recommend {viewer}", "recommendations with reasons"),
        *([("bin/nexus mint CONTENT", "a title becomes a token, exactly once")] if settings.web3.enabled else []),
        ("bin/nexus models list", "models, their figures, which one is champion"),
        ("bin/nexus status", "how every part is"),
        ("bin/nexus logs api -f", "what a part says"),
        ("bin/nexus down", "stop everything; data stays"),
    ):
        out.print(Text(f"  {command:<33} ") + Text(purpose, style="dim"))


def _addresses(settings: Settings) -> list[tuple[str, str]]:
    api = settings.api.url or ""
    found = [
        ("web page", api),
        ("API docs", f"{api}/docs"),
        ("Dagster", settings.dagster.url),
        ("Temporal", settings.temporal.ui_url),
        ("MLflow", settings.mlflow.url),
    ]
    return [(name, url) for name, url in found if url]


def _example(settings: Settings) -> str:
    """A viewer who is there; the default data's first where the database does not say."""
    import psycopg

    from nexus import ids
    from nexus.db.pool import connect
    from nexus.db.users import example_viewer

    try:
        with connect(settings, "reader") as connection:
            found = example_viewer(connection, ids.Reference(*VIEWER.split(":")))
    except (NexusError, psycopg.Error):  # a greeting, no more
        found = None
    return found or VIEWER


def _viewer(settings: Settings, viewer: str) -> list[tuple[str, list[str]]]:
    """One viewer's history and recommendations; nothing when there is no such viewer."""
    import httpx

    try:
        with httpx.Client(base_url=settings.api.url or "", timeout=_PATIENCE_S, trust_env=False) as client:
            history = client.get(f"/v1/users/{viewer}/history", params={"limit": _SHOWN})
            wanted = client.get(f"/v1/users/{viewer}/recommendations", params={"limit": _SHOWN, "explain": "true"})
        if history.status_code != httpx.codes.OK or wanted.status_code != httpx.codes.OK:
            return []
        seen, body = history.json(), wanted.json()
    except (httpx.HTTPError, ValueError):  # also whoever else may listen there: these lines are a greeting, no more
        return []
    watched = [f"{item['title']}{_value(item)}" for item in seen["items"]]
    source = f"{body['source']} {body.get('model_version') or ''}".strip()
    offered = [f"{item['title']:<44} {_reason(item)}".rstrip() for item in body["items"]]
    return [(f"viewer {viewer} watched", watched), (f"and may like ({source})", offered)]


def _value(item: dict[str, Any]) -> str:
    return "" if item.get("value") is None else f" ({item['value']:g})"


def _reason(item: dict[str, Any]) -> str:
    return str((item.get("reason") or {}).get("text") or "")
