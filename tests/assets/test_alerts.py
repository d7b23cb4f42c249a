"""From a failed run, check or freshness policy to a row, a webhook and a person's screen; and back to well."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dagster as dg
import psycopg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateRecord, FreshnessStateRecordBody

from assets import alerts as watching
from assets.resources import with_settings
from nexus import alerts
from nexus.db import alerts as rows
from nexus.db.alerts import Fault
from nexus.db.pool import connect
from nexus.settings import Settings

SECRET = "a key of the test"


class Receiver:
    """A real HTTP server that remembers what it was posted, and answers what it is told to."""

    def __init__(self) -> None:
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.posted.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?token=hidden"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.posted]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def told(settings: Settings, receiver: Receiver) -> Settings:
    """Settings with a webhook; no alert is there."""
    area = type(settings.alerts)(webhook_url=receiver.url, webhook_secret=SECRET, timeout_s=2)
    with connect(settings, "owner") as connection:
        connection.execute("truncate nexus_analytics.alerts")
    return settings.model_copy(update={"alerts": area})


def listed(settings: Settings, *, is_open_only: bool = True) -> list[rows.Alert]:
    with connect(settings, "reader") as connection:
        return rows.listed(connection, is_open_only=is_open_only)


def fault(subject: str = "pipeline", source: str = "run-1") -> Fault:
    return Fault("run", subject, "error", f"{subject} failed", source, {"run_id": source})


@pytest.mark.integration
def test_report__a_fault__is_a_row_and_one_signed_post(told: Settings, receiver: Receiver) -> None:
    assert alerts.report(told, [fault()]) == 1
    (row,) = listed(told)
    assert row.delivered_at is not None
    ((headers, body),) = receiver.posted
    assert json.loads(body)["subject"] == "pipeline"
    assert headers["x-nexus-alert"] == str(row.id)
    assert headers["x-nexus-signature"] == "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.integration
def test_report__the_same_event_twice__changes_nothing_and_another_counts(told: Settings, receiver: Receiver) -> None:
    assert [alerts.report(told, [fault()]) for _ in range(2)] == [1, 0]
    assert alerts.report(told, [fault(source="run-2")]) == 1
    (row,) = listed(told)
    assert (row.occurrences, row.source_id) == (2, "run-2")
    assert len(receiver.posted) == 1


@pytest.mark.integration
def test_deliver__receiver_in_trouble__is_asked_again_at_once(told: Settings, receiver: Receiver) -> None:
    receiver.answers = [500, 503]
    alerts.report(told, [fault()])
    assert len(receiver.posted) == 3
    assert len({headers["x-nexus-alert"] for headers, _ in receiver.posted}) == 1
    assert listed(told)[0].delivered_at is not None


@pytest.mark.integration
def test_deliver__receiver_refuses__is_left_for_later_and_the_url_is_not_kept(
    told: Settings, receiver: Receiver
) -> None:
    receiver.answers = [404]
    alerts.report(told, [fault()])
    (row,) = listed(told)
    assert (row.delivered_at, row.attempts, row.delivery_failure) == (None, 1, "HTTP 404")
    assert len(receiver.posted) == 1
    alerts.report(told, [])
    assert len(receiver.posted) == 1, "the next attempt is not due yet"
    with connect(told, "owner") as connection:
        connection.execute("update nexus_analytics.alerts set next_attempt_at = now()")
    alerts.report(told, [])
    assert listed(told)[0].delivered_at is not None


@pytest.mark.integration
def test_deliver__nobody_listens__does_not_raise(told: Settings, receiver: Receiver) -> None:
    receiver.server.server_close()
    alerts.report(told, [fault()])
    row = listed(told)[0]
    assert row.delivery_failure == "ConnectError"


@dg.asset
def table() -> None:
    """Something with a check."""


def failing_run(instance: dg.DagsterInstance, settings: Settings, *, is_well: bool) -> dg.ExecuteInProcessResult:
    @dg.asset_check(asset="table")
    def shape() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=is_well, metadata={"missing": ["title"]})

    @dg.asset(deps=[table])
    def later() -> None:
        if not is_well:
            raise ValueError("the disk is full")

    defs = dg.Definitions(
        assets=[table, later],
        asset_checks=[shape],
        jobs=[dg.define_asset_job("nightly")],
        executor=dg.in_process_executor,
    )
    result = defs.resolve_job_def("nightly").execute_in_process(instance=instance, raise_on_error=False)
    ended = result.all_events[-1]
    with dg.build_run_status_sensor_context(
        sensor_name="test",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=ended,
        resources={"platform": with_settings(settings)},
    ) as context:
        if is_well:
            watching.look_at_finished_run(context)
        else:
            watching.alert_on_failed_run(context.for_run_failure())
    return result


@pytest.mark.integration
def test_sensors__run_and_check_fail_and_then_are_well__open_and_close_alerts(
    told: Settings, receiver: Receiver
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        failing_run(instance, told, is_well=False)
        found = {(row.kind, row.subject): row.message for row in listed(told)}
        assert set(found) == {("run", "nightly"), ("check", "table.shape")}
        assert "later: ValueError: the disk is full" in found["run", "nightly"]
        assert "title" in found["check", "table.shape"]
        assert {body["subject"] for body in receiver.bodies} == {"nightly", "table.shape"}
        run = failing_run(instance, told, is_well=True)
    assert listed(told) == []
    assert {row.resolved_by for row in listed(told, is_open_only=False)} == {f"run {run.run_id}"}


@pytest.mark.integration
def test_role_reader__may_look_at_alerts_but_not_change_them(told: Settings) -> None:
    alerts.report(told, [fault()])
    with connect(told, "reader") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows.resolve(connection, "run", ["pipeline"], by="nobody")


@pytest.mark.unit
def test_of_freshness__states__only_a_failure_is_a_fault() -> None:
    def record(name: str, state: FreshnessState) -> FreshnessStateRecord:
        body = FreshnessStateRecordBody(metadata={})
        at = datetime(2026, 11, 23, tzinfo=UTC)
        return FreshnessStateRecord(
            entity_key=dg.AssetKey(name), freshness_state=state, updated_at=at, record_body=body
        )

    faults, well = watching.of_freshness(
        [record("old", FreshnessState.FAIL), record("new", FreshnessState.PASS), record("late", FreshnessState.WARN)]
    )
    assert [(one.kind, one.subject) for one in faults] == [("freshness", "old")]
    assert well == [("freshness", "new")]
