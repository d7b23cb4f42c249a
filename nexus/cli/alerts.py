"""``alerts``: what failed and is not well yet.

Belongs here: the list, closing one by hand. Does not belong here: noticing (assets.alerts), telling (nexus.alerts).
"""

from __future__ import annotations

import getpass
import json
import sys
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from nexus.cli.output import console
from nexus.errors import invalid, not_found
from nexus.settings import load

if TYPE_CHECKING:
    from nexus.db.alerts import Alert


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="What failed and is not well yet: runs, checks, tables that are too old.",
        invoke_without_command=True,
        epilog="Examples:  bin/nexus alerts  |  bin/nexus alerts --json  |  bin/nexus alerts resolve ID",
    )
    group.callback()(show)
    group.command("resolve", epilog="Example:  bin/nexus alerts resolve 6f1e2a34-...")(resolve)
    app.add_typer(group, name="alerts")


def show(
    context: typer.Context,
    is_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    has_resolved: Annotated[bool, typer.Option("--all", help="Also those that are well again.")] = False,
) -> None:
    """Show the open alerts, newest first."""
    if context.invoked_subcommand is not None:
        return
    from nexus import alerts as domain
    from nexus.db import alerts
    from nexus.db.pool import connect

    with connect(load(), "reader") as connection:
        found = alerts.listed(connection, is_open_only=not has_resolved)
    is_open = [alert for alert in found if alert.resolved_at is None]
    if is_json:
        listed = [
            domain.payload(alert)
            | {
                "delivered_at": alert.delivered_at.isoformat() if alert.delivered_at else None,
                "delivery_failure": alert.delivery_failure,
            }
            for alert in found
        ]
        sys.stdout.write(json.dumps({"open": len(is_open), "alerts": listed}) + "\n")
        return
    _print(found)


def _print(found: list[Alert]) -> None:
    from rich.text import Text

    out = console()
    if not found:
        out.print("no open alert", style="bold green")
        return
    for alert in found:
        style = "dim" if alert.resolved_at else "bold red" if alert.severity == "error" else "yellow"
        times = f" ({alert.occurrences} times)" if alert.occurrences > 1 else ""
        state = f"  well since {alert.resolved_at:%Y-%m-%d %H:%M}Z" if alert.resolved_at else ""
        out.print(
            Text(f"{alert.severity:<6}", style=style)
            + Text(f"{alert.last_at:%Y-%m-%d %H:%M}Z  {alert.kind:<10}{alert.subject}{times}{state}")
        )
        out.print(Text(f"      {alert.message}"))
        out.print(Text(f"      id {alert.id}{_delivery(alert)}", style="dim"))
    out.print("  next:  bin/nexus alerts resolve ID   bin/nexus doctor")


def _delivery(alert: Alert) -> str:
    if alert.delivered_at:
        return f"  told the webhook {alert.delivered_at:%H:%M}Z"
    return f"  webhook: {alert.delivery_failure}" if alert.delivery_failure else ""


def resolve(alert: Annotated[str, typer.Argument(help="The id, as in bin/nexus alerts.")]) -> None:
    """Close an alert by hand; it comes again when it fails again."""
    from nexus.db import alerts
    from nexus.db.pool import connect

    try:
        wanted = uuid.UUID(alert)
    except ValueError:
        raise invalid("this is no id", field="alert", value=alert, remedy="take one from bin/nexus alerts") from None
    with connect(load(), "pipeline") as connection:
        if not alerts.resolve_one(connection, wanted, by=f"{getpass.getuser()} by hand"):
            raise not_found("no such open alert", field="alert", value=alert, remedy="see bin/nexus alerts --all")
    console().print("closed")
