"""Alerts: noting what failed, and telling a webhook of it.

Belongs here: the message, its signature, retries. Does not belong here: what is worth an alert (assets.alerts), the
rows (nexus.db.alerts).

A receiver gets ``POST`` with JSON (:func:`payload`) and the header ``X-Nexus-Alert`` (the alert's id). It may come twice
with the same id: when the answer got lost. With a secret, ``X-Nexus-Signature`` is ``sha256=`` and the HMAC-SHA256 of the body.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import psycopg

from nexus import logs
from nexus.db import alerts
from nexus.db.alerts import Alert, Fault, Kind
from nexus.db.pool import connect
from nexus.errors import NexusError
from nexus.settings import Settings

TRIES_AT_ONCE = 3
_FIRST_WAIT_S, _LONGEST_WAIT_S = 30.0, 3600.0
_PAUSE_S = 0.2
_BUDGET_S = 20.0


def report(settings: Settings, faults: Iterable[Fault], well: Iterable[tuple[Kind, str]] = (), *, by: str = "") -> int:
    """Note faults, close the alerts of what is well again, and tell the webhook.

    Args:
        settings: The platform's.
        faults: What is not well.
        well: Kind and subject of what is.
        by: What showed that it is well, for the record.

    Returns:
        How many faults were new.
    """
    log = logs.get(__name__)
    with connect(settings, "pipeline") as connection:
        for kind, subject in well:
            if alerts.resolve(connection, kind, [subject], by=by):
                log.info("alert_resolved", kind=kind, subject=subject, by=by)
        new = 0
        for fault in faults:
            if alerts.note(connection, fault):
                new += 1
                log.warning("alert_raised", kind=fault.kind, subject=fault.subject, severity=fault.severity)
        deliver(settings, connection)
    return new


def deliver(settings: Settings, connection: psycopg.Connection) -> int:
    """Tell the webhook of every alert that is due, within a bounded time; returns how many were told."""
    url = settings.alerts.webhook_url
    if url is None:
        return 0
    deadline = time.monotonic() + _BUDGET_S
    told = 0
    for alert in alerts.undelivered(connection, max_attempts=settings.alerts.max_attempts):
        failure = _send(settings, url.get_secret_value(), alert, deadline)
        if failure is None:
            alerts.mark_delivered(connection, alert.id)
            told += 1
            continue
        wait = min(_FIRST_WAIT_S * 2**alert.attempts, _LONGEST_WAIT_S)
        alerts.mark_failed(connection, alert.id, failure, wait=timedelta(seconds=wait))
        logs.get(__name__).warning("alert_not_delivered", alert=str(alert.id), reason=failure, again_s=wait)
        if time.monotonic() > deadline:
            break
    return told


def _send(settings: Settings, url: str, alert: Alert, deadline: float) -> str | None:
    """Post one alert, a few times; the reason when nobody took it. The reason never names the URL: it may hold a token."""
    import httpx

    body = json.dumps(payload(alert)).encode()
    headers = {"content-type": "application/json", "x-nexus-alert": str(alert.id)}
    secret = settings.alerts.webhook_secret
    if secret is not None:
        headers["x-nexus-signature"] = signature(secret.get_secret_value(), body)
    failure = "no time left"
    with httpx.Client(timeout=settings.alerts.timeout_s, trust_env=False, follow_redirects=False) as client:
        for attempt in range(TRIES_AT_ONCE):
            if time.monotonic() > deadline:
                break
            if attempt:
                time.sleep(_PAUSE_S * 2**attempt)
            try:
                answer = client.post(url, content=body, headers=headers)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                failure = type(error).__name__
                continue
            if answer.is_success:
                return None
            failure = f"HTTP {answer.status_code}"
            if answer.is_client_error and answer.status_code not in {408, 429}:
                break
    return failure


def payload(alert: Alert) -> dict[str, Any]:
    """What a receiver, and ``bin/nexus alerts --json``, gets of an alert."""
    return {
        "id": str(alert.id),
        "kind": alert.kind,
        "subject": alert.subject,
        "severity": alert.severity,
        "message": alert.message,
        "details": alert.details,
        "occurrences": alert.occurrences,
        "first_at": alert.first_at.isoformat(),
        "last_at": alert.last_at.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
    }


def signature(secret: str, body: bytes) -> str:
    """The value of ``X-Nexus-Signature``."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def open_count(settings: Settings) -> int | None:
    """How many alerts are open; None when the database can't be asked now."""
    with contextlib.suppress(NexusError, psycopg.Error), connect(settings, "reader") as connection:
        return alerts.count_open(connection)
    return None
