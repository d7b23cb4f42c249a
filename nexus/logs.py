"""Structured logs: one event name per line, ids as fields, JSON in files and readable text on a terminal.

Belongs here: the one place that configures structlog and the standard library's logging.
Does not belong here: metrics and traces.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def configure(*, part: str, level: str = "INFO", json: bool | None = None) -> None:
    """Send every log line of this process to standard error.

    Args:
        part: The process, as in ``bin/nexus status``; a field of every line.
        level: The least severe level that is shown.
        json: One JSON object a line; by default unless standard error is a terminal.
    """
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.getLogger("httpx").setLevel("WARNING")
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(part=part)


def get(name: str) -> Any:
    """A logger whose first argument is an event name: ``get(__name__).info("table_written", rows=3)``."""
    return structlog.get_logger(name)
