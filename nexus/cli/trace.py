"""``trace``: what a request led to, as a tree with durations; read from the files of spans, no server is asked.

Belongs here: the tree as text and as JSON. Does not belong here: keeping and reading spans (nexus.spans).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus.cli.output import console
from nexus.errors import invalid, not_found

if TYPE_CHECKING:
    from nexus.spans import Node, Span

_ID = re.compile(r"(?:[0-9a-f]{2}-)?(?P<id>[0-9a-f]{32})(?:-[0-9a-f]{16}-[0-9a-f]{2})?")
_LATEST = 15
_SHOWN = 60


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog="Examples:  bin/nexus trace  |  bin/nexus trace 4bf92f3577b34da6a3ce929d0e0e4736 --json  "
        "(the id is in X-Trace-Id of an answer and in every log line)"
    )(trace)


def trace(
    trace_id: Annotated[str | None, typer.Argument(help="A trace id or a traceparent; left out: the latest.")] = None,
    is_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Show what a request led to: workflow, activities, assets, and how long each took."""
    from nexus import spans
    from nexus.runtime.state import user_settings

    home = user_settings().home
    if trace_id is None:
        _show_latest(spans.latest(home, _LATEST), is_json=is_json)
        return
    found = _ID.fullmatch(trace_id.strip().lower())
    if found is None:
        raise invalid(
            "this is not a trace id", field="trace_id", value=trace_id, remedy="give 32 hexadecimal digits, or nothing"
        )
    wanted = found["id"]
    known = spans.read(home, wanted)
    if not known:
        raise not_found(
            "no span of this trace is kept",
            field="trace_id",
            value=wanted,
            remedy="reads are traced by sample (telemetry.sample_ratio), and old spans are dropped; see bin/nexus trace",
        )
    roots = spans.tree(span for span in known if span.trace == wanted)
    linked = [span for span in known if span.trace != wanted]
    if is_json:
        _print_json(wanted, roots, linked)
        return
    _print_tree(wanted, roots, linked)


def _print_json(trace_id: str, roots: list[Node], linked: list[Span]) -> None:
    answer = {
        "trace_id": trace_id,
        "services": sorted({node.span.service for node in _all(roots)}),
        "duration_ms": _duration_ms(roots),
        "spans": [_as_json(node) for node in roots],
        "linked": [_flat(span, span.end_ns - span.start_ns) | {"trace_id": span.trace} for span in linked],
    }
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")


def _as_json(node: Node) -> dict[str, Any]:
    return _flat(node.span, node.duration_ns) | {"children": [_as_json(child) for child in node.children]}


def _flat(span: Span, duration_ns: int) -> dict[str, Any]:
    return {
        "name": span.name,
        "service": span.service,
        "span_id": span.span,
        "parent_id": span.parent,
        "started_at": _time(span).isoformat(),
        "duration_ms": round(duration_ns / 1e6, 3),
        "status": span.status,
        "attributes": span.attributes,
    }


def _print_tree(trace_id: str, roots: list[Node], linked: list[Span]) -> None:
    from rich.text import Text

    out = console()
    out.print(f"trace {trace_id}  {_duration_ms(roots):.1f} ms", markup=False)
    began = min((node.span.start_ns for node in roots), default=0)
    for depth, node in _walk(roots):
        mark = "x " if node.span.status == "error" else ""
        name = f"{'  ' * depth}{mark}{node.span.name}"
        at_ms = (node.span.start_ns - began) / 1e6
        line = Text(f"{name:<{_SHOWN}} {node.duration_ns / 1e6:>10.1f} ms")
        line.append(f"  at {at_ms:>9.1f}  {node.span.service}", style="dim")
        if mark:
            line.stylize("red", 0, len(name))
        out.print(line)
    for span in linked:
        name = f"linked: {span.name} ({(span.end_ns - span.start_ns) / 1e6:.1f} ms, {span.service})"
        out.print(f"{name}  bin/nexus trace {span.trace}", markup=False)
    out.print(f"log lines of it: grep {trace_id} in the logs folder of the state folder", style="dim")


def _show_latest(roots: list[Span], *, is_json: bool) -> None:
    if is_json:
        listed = [_flat(span, span.end_ns - span.start_ns) | {"trace_id": span.trace} for span in roots]
        sys.stdout.write(json.dumps({"latest": listed}, indent=2) + "\n")
        return
    out = console()
    if not roots:
        out.print("no trace is kept yet; operations always leave one: POST /v1/content, bin/nexus pipeline run")
    for span in roots:
        at = f"{_time(span):%Y-%m-%d %H:%M:%S}"
        out.print(f"{span.trace}  {at}  {(span.end_ns - span.start_ns) / 1e6:>10.1f} ms  {span.name}", markup=False)


def _duration_ms(roots: list[Node]) -> float:
    nodes = list(_all(roots))
    if not nodes:
        return 0.0
    began = min(node.span.start_ns for node in nodes)
    return round((max(node.span.end_ns for node in nodes) - began) / 1e6, 3)


def _all(roots: Iterable[Node]) -> Iterator[Node]:
    for _, node in _walk(roots):
        yield node


def _walk(roots: Iterable[Node], depth: int = 0) -> Iterator[tuple[int, Node]]:
    for node in sorted(roots, key=lambda one: one.span.start_ns):
        yield depth, node
        yield from _walk(node.children, depth + 1)


def _time(span: Span) -> datetime:
    return datetime.fromtimestamp(span.start_ns / 1e9, UTC)
