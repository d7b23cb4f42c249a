"""Structured logs: one event name per line, ids as fields, JSON in files and readable text on a terminal.

Every line carries the part, and the trace and span in which it was written; no line carries a secret.
Belongs here: the one place that configures structlog and the standard library's logging.
Does not belong here: metrics, making spans (nexus.telemetry), what counts as a secret (nexus.redaction).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from nexus import redaction, telemetry
from nexus.rotating import RotatingLines
from nexus.settings import load

FILE_BYTES = 10_000_000
RUNS = "runs"
"""The log of Dagster's runs, because Dagster takes standard error away from their steps."""


def configure(*, part: str, level: str = "INFO", json: bool | None = None) -> None:
    """Send every log line of this process to standard error.

    Args:
        part: The process, as in ``bin/nexus status``; a field of every line.
        level: The least severe level that is shown.
        json: One JSON object a line; by default unless standard error is a terminal.
    """
    as_json = not sys.stderr.isatty() if json is None else json
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(part, as_json=as_json))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.getLogger("httpx").setLevel("WARNING")
    _configure_structlog()


@contextmanager
def to_file(path: Path, *, part: str, level: str = "INFO") -> Iterator[None]:
    """Within, lines also go to a file as JSON: for a process whose standard error belongs to somebody else (Dagster's)."""
    handler = FileHandler(path, part)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(min(before, logging.getLevelNamesMapping()[level]) if before else level)
    _configure_structlog()
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


class FileHandler(logging.Handler):
    """Writes lines of JSON to a file that several processes share and that never grows without end."""

    def __init__(self, path: Path, part: str) -> None:
        super().__init__()
        self._lines = RotatingLines(path, FILE_BYTES)
        self.setFormatter(_formatter(part, as_json=True))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a full disk must not end what is being logged."""
        try:
            self._lines.append(self.format(record).encode("utf-8", "backslashreplace") + b"\n")
        except OSError:
            self.handleError(record)


class RunHandler(FileHandler):
    """What Dagster itself says of a run (``context.log``, failures); named in dagster.yaml, which makes it."""

    def __init__(self) -> None:
        super().__init__(load().home / "logs" / f"{RUNS}.log", "run")


def get(name: str) -> Any:
    """A logger whose first argument is an event name: ``get(__name__).info("table_written", rows=3)``."""
    return structlog.get_logger(name)


def _shared() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
    ]


def _configure_structlog() -> None:
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _formatter(part: str, *, as_json: bool) -> logging.Formatter:
    def add_part(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line.setdefault("part", part)
        return line

    last: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            add_part,
            _hide_secrets,
            last,
        ],
    )


def _add_trace(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say in which trace and span the line was written."""
    found = telemetry.current()
    if found is not None:
        line["trace_id"], line["span_id"] = f"{found.trace_id:032x}", f"{found.span_id:016x}"
    return line


def _hide_secrets(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return redaction.fields(line)
