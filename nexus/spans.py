"""Spans as lines of JSON in ``$NEXUS_HOME/traces``: one file a part, bounded, readable without any collector.

Belongs here: the exporter, reading a trace back, and its tree. Does not belong here: making spans (nexus.telemetry),
showing them (nexus.cli.trace).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from nexus import redaction, rotating

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_LONGEST_TEXT = 500
_RUN, _RUN_SPAN = "temporalRunID", "RunWorkflow:"  # the engine's own names


@dataclass(frozen=True, slots=True)
class Span:
    """One finished span."""

    trace: str
    span: str
    parent: str | None
    name: str
    service: str
    start_ns: int
    end_ns: int
    status: str
    attributes: dict[str, Any]
    links: tuple[str, ...] = ()


@dataclass(slots=True)
class Node:
    """A span and what happened within it, earliest first."""

    span: Span
    children: list[Node] = field(default_factory=list)

    @property
    def duration_ns(self) -> int:
        """Its time; a workflow's spans are points (a replay could not end an open one), so it lasts until its last child."""
        own = self.span.end_ns - self.span.start_ns
        if own > 0 or not self.children:
            return own
        return max(child.span.start_ns + child.duration_ns for child in self.children) - self.span.start_ns


def folder(home: Path) -> Path:
    """Where the files are."""
    return home / "traces"


class FileExporter:
    """Writes finished spans to one part's file; loses them rather than disturb the part when the disk is full.

    The shape is the SDK's ``SpanExporter`` (a protocol in all but name, whose import would cost every process).
    """

    def __init__(self, home: Path, service: str, max_bytes: int) -> None:
        self._lines = rotating.RotatingLines(folder(home) / f"{service}.jsonl", max_bytes)
        self._service = service

    def export(self, spans: Sequence[ReadableSpan]) -> Any:
        """Write a batch."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        try:
            self._lines.append(b"".join(orjson.dumps(as_line(span, self._service)) + b"\n" for span in spans))
        except OSError:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing stays open."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 the signature is the SDK's
        """Nothing is held back."""
        return True


def as_line(span: ReadableSpan, service: str) -> dict[str, Any]:
    """What is kept of a span; texts are redacted and short."""
    context = span.get_span_context()
    status = span.status
    line: dict[str, Any] = {
        "trace": f"{context.trace_id:032x}" if context else "",
        "span": f"{context.span_id:016x}" if context else "",
        "parent": f"{span.parent.span_id:016x}" if span.parent else None,
        "name": redaction.text(span.name)[:_LONGEST_TEXT],
        "service": service,
        "start_ns": span.start_time or 0,
        "end_ns": span.end_time or 0,
        "status": status.status_code.name.lower(),
        "attributes": {
            name: value[:_LONGEST_TEXT] if isinstance(value, str) else value
            for name, value in redaction.fields(dict(span.attributes or {})).items()
        },
    }
    if status.description:
        line["attributes"]["error"] = redaction.text(status.description)[:_LONGEST_TEXT]
    if span.links:
        line["links"] = [f"{link.context.trace_id:032x}" for link in span.links]
    return line


def read(home: Path, trace: str) -> list[Span]:
    """Every span of a trace, and those of other traces that link to it, in the order of their starts."""
    wanted = trace.encode()
    found: dict[str, Span] = {}
    for path in sorted(folder(home).glob("*.jsonl")):
        for line in rotating.read(path):
            if wanted in line:
                for span in _parsed(line):
                    if trace in (span.trace, *span.links):
                        found[span.span] = span
    return sorted(found.values(), key=lambda span: (span.start_ns, span.end_ns))


def latest(home: Path, count: int) -> list[Span]:
    """The newest spans that have no parent, newest first."""
    roots = [
        span
        for path in folder(home).glob("*.jsonl")
        for line in rotating.read(path)
        if b'"parent":null' in line
        for span in _parsed(line)
    ]
    return sorted(roots, key=lambda span: -span.start_ns)[:count]


def _parsed(line: bytes) -> Iterator[Span]:
    """The span of a line; none for a line that a full disk cut."""
    with contextlib.suppress(orjson.JSONDecodeError, TypeError, KeyError):
        found = orjson.loads(line)
        yield Span(**(found | {"links": tuple(found.get("links", ()))}))


def tree(spans: Iterable[Span]) -> list[Node]:
    """The spans under their parents; one whose parent is not known (another company's, or not kept) stands on top.

    What a workflow did stands under its run, though the engine names the starter as parent of both.
    """
    nodes = {span.span: Node(span) for span in spans}
    runs = {
        (node.span.parent, node.span.attributes.get(_RUN)): node
        for node in nodes.values()
        if node.span.name.startswith(_RUN_SPAN)
    }
    roots: list[Node] = []
    for node in nodes.values():
        parent = nodes.get(node.span.parent or "")
        run = runs.get((node.span.parent, node.span.attributes.get(_RUN)))
        if run is not None and run is not node:
            parent = run
        (parent.children if parent is not None else roots).append(node)
    return roots
