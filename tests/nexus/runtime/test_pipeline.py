"""Following a run: steps as they end, runs that Dagster tries again, runs whose process is gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nexus.errors import NexusError
from nexus.runtime import pipeline
from nexus.runtime.pipeline import Pipeline, Step
from nexus.runtime.probes import NotReadyError

pytestmark = pytest.mark.unit
NO_PID = 2**22 + 1  # above the highest pid that Linux gives


def _event(kind: str, step: str | None = None, at: int = 0, **more: Any) -> dict[str, Any]:
    return {"__typename": kind, "stepKey": step, "timestamp": str(at), "message": "", **more}


class FakeDagster:
    """Answers the queries of one pipeline; each launch takes the next script of (status, retried, events)."""

    def __init__(self, *scripts: tuple[str, bool, list[dict[str, Any]]]) -> None:
        self.scripts = list(scripts)
        self.launched: list[str] = []
        self.cancelled: list[str] = []
        self.under_way: list[str] = []

    def __call__(self, _url: str, *, body: dict[str, Any], **_options: Any) -> dict[str, Any]:
        asked = body["variables"]
        return {"data": self._answer(body["query"], asked)}

    def _answer(self, query: str, asked: dict[str, Any]) -> dict[str, Any]:
        if "repositoriesOrError" in query:
            node = {"name": "r", "location": {"name": "l"}, "jobs": [{"name": "pipeline"}]}
            return {"repositoriesOrError": {"nodes": [node]}}
        if "launchRun" in query:
            self.launched.append(f"run-{len(self.launched)}")
            return {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": self.launched[-1]}}}
        if "runsOrError" in query:
            return {"runsOrError": {"results": [{"runId": run, "status": "STARTED"} for run in self.under_way]}}
        if "terminateRuns" in query:
            self.cancelled += asked["ids"]
            return {"terminateRuns": {}}
        status, is_retried, events = self.scripts[int(asked["id"].rpartition("-")[2])]
        if "logsForRun" in query:
            news = [] if asked["after"] else events
            return {"logsForRun": {"cursor": "end", "hasMore": False, "events": news}}
        if is_retried:
            self.under_way = ["run-1"]
        tags = [{"key": "dagster/will_retry", "value": "true"}] if is_retried else []
        return {
            "runOrError": {"status": status, "tags": tags, "executionPlan": {"steps": [{"key": "a"}, {"key": "b"}]}}
        }


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[Any, list[Step], list[tuple[str, bool]]]]:
    monkeypatch.setattr(pipeline.time, "sleep", lambda _seconds: None)

    def start(dagster: Any) -> tuple[Any, list[Step], list[tuple[str, bool]]]:
        monkeypatch.setattr(pipeline, "http", dagster)
        steps: list[Step] = []
        launches: list[tuple[str, bool]] = []
        runs = Pipeline("http://dagster", tmp_path)
        outcome = runs.run("pipeline", steps.append, on_launch=lambda run_id, old: launches.append((run_id, old)))
        return outcome, steps, launches

    return start


DONE = [_event("ExecutionStepStartEvent", "a", 1000), _event("ExecutionStepSuccessEvent", "a", 3500)]
FAILED = [
    *DONE,
    _event(
        "ExecutionStepFailureEvent", "b", 4000, error={"message": "outer", "cause": {"message": "NexusError: no disk"}}
    ),
    _event("RunFailureEvent"),
]
KILLED = [_event("EngineEvent", None, 1, metadataEntries=[{"label": "pid", "text": str(NO_PID)}])]


def test_run__succeeds__tells_every_step_with_its_seconds(run: Callable[..., Any]) -> None:
    outcome, steps, launches = run(FakeDagster(("SUCCESS", False, DONE)))
    assert outcome.is_success
    assert steps == [Step("began", "a", number=1, total=2), Step("done", "a", 2.5, 1, 2)]
    assert launches == [("run-0", False)]


def test_run__a_step_fails__names_it_and_its_cause(run: Callable[..., Any]) -> None:
    outcome, steps, _ = run(FakeDagster(("FAILURE", False, FAILED)))
    assert not outcome.is_success
    assert outcome.reason == "b: NexusError: no disk"
    assert steps[-1].kind == "failed"


def test_run__one_is_under_way__is_followed_instead_of_launched(run: Callable[..., Any]) -> None:
    dagster = FakeDagster(("SUCCESS", False, DONE))
    dagster.under_way = ["run-0"]
    outcome, _, launches = run(dagster)
    assert outcome.is_success
    assert (dagster.launched, launches) == ([], [("run-0", True)])


def test_run__dagster_tries_again__follows_the_second(run: Callable[..., Any]) -> None:
    dagster = FakeDagster(("FAILURE", True, FAILED), ("SUCCESS", False, DONE))
    outcome, _, launches = run(dagster)
    assert outcome.is_success
    assert launches == [("run-0", False), ("run-1", True)]


def test_run__its_process_is_gone__is_cancelled_and_launched_again(run: Callable[..., Any]) -> None:
    dagster = FakeDagster(("STARTED", False, KILLED), ("SUCCESS", False, DONE))
    outcome, _, launches = run(dagster)
    assert outcome.is_success
    assert dagster.cancelled == ["run-0"]
    assert launches == [("run-0", False), ("run-1", False)]


def test_run__dagster_is_silent__says_what_to_do(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "PATIENCE_S", 0)
    monkeypatch.setattr(Pipeline._ask, "__kwdefaults__", {"patience_s": 0})

    def silent(*_words: Any, **_more: Any) -> Any:
        raise NotReadyError("refused")

    with pytest.raises(NexusError, match="does not answer") as caught:
        run(silent)
    assert caught.value.remedy == "run bin/nexus up"
