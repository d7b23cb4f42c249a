"""Alerts in Postgres: one open row a subject, told once, closed when it is well again.

Belongs here: the SQL. Does not belong here: what is worth an alert (assets.alerts), how it is sent (nexus.alerts).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

Kind = Literal["run", "check", "freshness"]
Severity = Literal["warn", "error"]
_COLUMNS = (
    "id, kind, subject, severity, message, details, source_id, occurrences, first_at, last_at, resolved_at, "
    "resolved_by, delivered_at, attempts, delivery_failure"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not well, as whoever noticed it says.

    Attributes:
        kind: What kind of thing.
        subject: Which: a job, ``asset.check``, an asset.
        severity: How bad.
        message: One sentence for a person.
        source_id: The event; the same one again changes nothing.
        details: Figures.
    """

    kind: Kind
    subject: str
    severity: Severity
    message: str
    source_id: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """A row of nexus_analytics.alerts."""

    id: uuid.UUID
    kind: Kind
    subject: str
    severity: Severity
    message: str
    details: dict[str, Any]
    source_id: str
    occurrences: int
    first_at: datetime
    last_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    delivered_at: datetime | None
    attempts: int
    delivery_failure: str | None


def note(connection: psycopg.Connection, fault: Fault) -> bool:
    """Open an alert, or count once more on the open one of the same subject.

    Returns:
        Whether this changed anything: False for an event that was noted before.
    """
    found = connection.execute(
        """
        insert into nexus_analytics.alerts as a (kind, subject, severity, message, details, source_id)
        select %(kind)s, %(subject)s, %(severity)s, %(message)s, %(details)s, %(source_id)s
        where not exists (select from nexus_analytics.alerts
          where kind = %(kind)s and subject = %(subject)s and source_id = %(source_id)s)
        on conflict (kind, subject) where resolved_at is null do update set severity = excluded.severity,
          message = excluded.message, details = excluded.details, source_id = excluded.source_id,
          occurrences = a.occurrences + 1, last_at = now()
        returning a.id
        """,
        {
            "kind": fault.kind,
            "subject": fault.subject[:300],
            "severity": fault.severity,
            "message": fault.message[:2000],
            "details": Jsonb(fault.details),
            "source_id": fault.source_id,
        },
    ).fetchone()
    return found is not None


def resolve(connection: psycopg.Connection, kind: Kind, subjects: Iterable[str], *, by: str) -> int:
    """Close the open alerts of these subjects; returns how many."""
    return connection.execute(
        "update nexus_analytics.alerts set resolved_at = now(), resolved_by = %s"
        " where kind = %s and subject = any(%s) and resolved_at is null",
        (by[:200], kind, list(subjects)),
    ).rowcount


def resolve_one(connection: psycopg.Connection, alert: uuid.UUID, *, by: str) -> bool:
    """Close one alert by hand; False when there is no such open alert."""
    closed = connection.execute(
        "update nexus_analytics.alerts set resolved_at = now(), resolved_by = %s where id = %s and resolved_at is null",
        (by[:200], alert),
    )
    return closed.rowcount == 1


def listed(connection: psycopg.Connection, *, is_open_only: bool, limit: int = 200) -> list[Alert]:
    """Alerts, newest first."""
    where = "where resolved_at is null" if is_open_only else ""
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        query = f"select {_COLUMNS} from nexus_analytics.alerts {where} order by last_at desc limit %s"  # noqa: S608 constants
        return cursor.execute(query, (limit,)).fetchall()


def count_open(connection: psycopg.Connection) -> int:
    """How many alerts are open."""
    row = connection.execute("select count(*) from nexus_analytics.alerts where resolved_at is null").fetchone()
    return row[0] if row else 0


def undelivered(connection: psycopg.Connection, *, max_attempts: int, limit: int = 10) -> list[Alert]:
    """Open alerts that nobody was told of and whose next attempt is due."""
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        query = (
            f"select {_COLUMNS} from nexus_analytics.alerts where delivered_at is null and resolved_at is null"  # noqa: S608
            " and attempts < %s and next_attempt_at <= now() order by first_at limit %s"
        )
        return cursor.execute(query, (max_attempts, limit)).fetchall()


def mark_delivered(connection: psycopg.Connection, alert: uuid.UUID) -> None:
    """Somebody was told."""
    connection.execute(
        "update nexus_analytics.alerts set delivered_at = now(), attempts = attempts + 1, delivery_failure = null"
        " where id = %s",
        (alert,),
    )


def mark_failed(connection: psycopg.Connection, alert: uuid.UUID, reason: str, *, wait: timedelta) -> None:
    """Nobody was told; the next attempt is after a while."""
    connection.execute(
        "update nexus_analytics.alerts set attempts = attempts + 1, delivery_failure = %s,"
        " next_attempt_at = now() + %s where id = %s",
        (reason[:300], wait, alert),
    )
