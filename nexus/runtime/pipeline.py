"""Runs a Dagster job through the webserver's GraphQL and tells how it goes, so that every run is in the UI too.

Belongs here: launching with a tag, following a run, noticing that a run's process is gone.
Does not belong here: what the job does (assets), printing (nexus.cli).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

from nexus import telemetry
from nexus.errors import Category, NexusError, unavailable
from nexus.runtime import processes
from nexus.runtime.probes import NotReadyError, http

REQUEST_TAG = "nexus/request"
PATIENCE_S = 60.0
_POLL_S, _ANSWER_S = 0.5, 30.0
_LAUNCHES = 4
_LOST_S = 10.0
_RETRY_TAG = "dagster/will_retry"
_IN_PROGRESS = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
_DONE = {"SUCCESS", "FAILURE", "CANCELED"}

_JOBS = "{repositoriesOrError{... on RepositoryConnection{nodes{name location{name} jobs{name}}}}}"
_RUNS = (
    "query($filter:RunsFilter,$limit:Int){runsOrError(filter:$filter,limit:$limit){... on Runs{results{runId status}}}}"
)
_RUN = "query($id:ID!){runOrError(runId:$id){... on Run{status tags{key value} executionPlan{steps{key}}}}}"
_LAUNCH = """mutation($params:ExecutionParams!){launchRun(executionParams:$params){
  __typename ... on LaunchRunSuccess{run{runId}} ... on PythonError{message}
  ... on RunConfigValidationInvalid{errors{message}} ... on PipelineNotFoundError{message}}}"""
_EVENTS = """query($id:ID!,$after:String){logsForRun(runId:$id,afterCursor:$after,limit:500){... on EventConnection{
  cursor hasMore events{__typename ... on MessageEvent{timestamp stepKey eventType message}
  ... on ExecutionStepFailureEvent{error{message cause{message}}} ... on RunFailureEvent{error{message}}
  ... on EngineEvent{metadataEntries{label ... on TextMetadataEntry{text} ... on IntMetadataEntry{intRepr}}}}}}}"""
_TERMINATE = """mutation($ids:[String!]!){terminateRuns(runIds:$ids,terminatePolicy:MARK_AS_CANCELED_IMMEDIATELY){
  __typename}}"""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to one asset (or check) of a run."""

    kind: Literal["began", "done", "failed", "skipped"]
    name: str
    seconds: float = 0.0
    number: int = 0
    total: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    run_id: str
    status: str
    seconds: float
    reason: str | None = None
    is_retried: bool = False

    @property
    def is_success(self) -> bool:
        """Whether everything was made."""
        return self.status == "SUCCESS"


@dataclass(slots=True)
class _Progress:
    """What is known of a run while it is followed."""

    total: int = 0
    done: int = 0
    began: dict[str, float] = field(default_factory=dict)
    pid: int | None = None
    cursor: str | None = None
    reason: str | None = None


class Pipeline:
    """Runs of the code location of one home.

    Args:
        url: The webserver's.
        home: The state folder, when the run's processes are on this machine; None when not.
    """

    def __init__(self, url: str, home: Path | None) -> None:
        self._url = url
        self._home = home

    def _ask(self, query: str, *, patience_s: float = PATIENCE_S, **variables: Any) -> Any:
        """Ask GraphQL; asked again for a while when there is no answer, so only for what may be said twice."""
        body = {"query": query, "variables": variables}
        deadline = time.monotonic() + patience_s
        while True:
            try:
                said = http(f"{self._url}/graphql", body=body, timeout_s=_ANSWER_S)
                break
            except NotReadyError as error:
                if time.monotonic() > deadline:
                    raise unavailable(f"Dagster does not answer: {error}", remedy="run bin/nexus up") from None
                time.sleep(_POLL_S)
        if said.get("errors"):
            raise unavailable(
                f"Dagster refused: {said['errors'][0]['message']}", remedy="see bin/nexus logs dagster-webserver"
            )
        return said["data"]

    def _selector(self, job: str) -> dict[str, Any]:
        """Where the job is; waits for a code server that is still loading."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for node in self._ask(_JOBS)["repositoriesOrError"].get("nodes", []):
                if any(found["name"] == job for found in node["jobs"]):
                    return {
                        "repositoryName": node["name"],
                        "repositoryLocationName": node["location"]["name"],
                        "jobName": job,
                    }
            if time.monotonic() > deadline:
                raise unavailable(f"Dagster knows no job {job}", remedy="see bin/nexus logs dagster-code")
            time.sleep(_POLL_S)

    def launch(self, job: str, *, tags: dict[str, str] | None = None, assets: Sequence[str] = ()) -> str:
        """Queue a run of a job, or of some of its assets; returns its id."""
        marks = {REQUEST_TAG: job} | telemetry.run_tags() | (tags or {})
        chosen = {"assetSelection": [{"path": [name]} for name in assets], "assetCheckSelection": []} if assets else {}
        params = {
            "selector": self._selector(job) | chosen,
            "mode": "default",
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in marks.items()]},
        }
        said = self._ask(_LAUNCH, patience_s=0, params=params)["launchRun"]
        if said["__typename"] != "LaunchRunSuccess":
            reason = said.get("message") or "; ".join(error["message"] for error in said.get("errors", []))
            raise unavailable(
                f"Dagster did not take the run: {reason or said['__typename']}",
                remedy="see bin/nexus logs dagster-webserver",
            )
        return str(said["run"]["runId"])

    def in_progress(self, job: str | None = None) -> list[str]:
        """Ids of runs that are queued or running, newest first."""
        asked: dict[str, Any] = {"statuses": list(_IN_PROGRESS)}
        if job is not None:
            asked["tags"] = [{"key": REQUEST_TAG, "value": job}]
        return [run["runId"] for run in self._ask(_RUNS, filter=asked, limit=25)["runsOrError"].get("results", [])]

    def last(self, job: str) -> tuple[str, str] | None:
        """Id and status of the newest run of a job; None: there was none."""
        asked = {"tags": [{"key": REQUEST_TAG, "value": job}]}
        found = self._ask(_RUNS, filter=asked, limit=1)["runsOrError"].get("results", [])
        return (found[0]["runId"], found[0]["status"]) if found else None

    def cancel(self, run_ids: list[str]) -> None:
        """Mark runs as cancelled, whatever their processes do."""
        if run_ids:
            self._ask(_TERMINATE, ids=run_ids)

    def clear_dead(self) -> list[str]:
        """Mark runs as cancelled whose process is gone: they would hold a place in the queue for ever."""
        dead = []
        for run_id in self.in_progress():
            progress = _Progress()
            list(self._news(run_id, progress))
            if self._is_dead(progress):
                dead.append(run_id)
        self.cancel(dead)
        return dead

    def _is_dead(self, progress: _Progress) -> bool:
        if self._home is None or progress.pid is None:
            return False
        try:
            return psutil.Process(progress.pid).environ().get(processes.HOME_MARK) != str(self._home)
        except psutil.Error:
            return True

    def run(
        self,
        job: str,
        on_step: Callable[[Step], None],
        *,
        on_launch: Callable[[str, bool], None],
        assets: Sequence[str] = (),
    ) -> Outcome:
        """Run a job to its end, or follow the run of it that is under way.

        A run whose process was killed is started again; assets are idempotent.

        Args:
            job: The job's name.
            on_step: Told of every step as it begins and ends.
            on_launch: Told the run's id, and whether it was under way already.
            assets: Only these of the job's; empty: all.
        """
        self.clear_dead()
        run_id: str | None = None
        for _ in range(_LAUNCHES):
            under_way = self._successor(job, run_id)
            run_id = under_way or self._launched(job, assets)
            on_launch(run_id, under_way is not None)
            outcome = self.follow(run_id, on_step)
            if outcome is None:
                self.cancel([run_id])
                run_id = None
            elif not outcome.is_retried:
                return outcome
        raise NexusError(
            f"the process of the run was killed {_LAUNCHES} times",
            category=Category.UNAVAILABLE,
            remedy="see bin/nexus logs dagster-code; is there enough memory?",
        )

    def _launched(self, job: str, assets: Sequence[str]) -> str:
        """Launch; when the answer got lost (a part was being restarted), take the run that came of it, or ask again."""
        for _ in range(2):
            try:
                return self.launch(job, assets=assets)
            except NexusError as error:
                if not error.retryable:
                    raise
            deadline = time.monotonic() + _LOST_S
            while time.monotonic() < deadline:
                if under_way := self.in_progress(job):
                    return under_way[0]
                time.sleep(_POLL_S)
        return self.launch(job, assets=assets)

    def _successor(self, job: str, failed: str | None) -> str | None:
        """The run under way; after a run that Dagster tries again by itself, the one that it starts."""
        deadline = time.monotonic() + (PATIENCE_S if failed else 0)
        while True:
            under_way = self.in_progress(job)
            if under_way or time.monotonic() >= deadline:
                return under_way[0] if under_way else None
            time.sleep(_POLL_S)

    def follow(self, run_id: str, on_step: Callable[[Step], None]) -> Outcome | None:
        """Watch a run until it ends; None when its process is gone without a word."""
        progress = _Progress()
        began, missed = time.monotonic(), 0
        while True:
            run = self._ask(_RUN, id=run_id)["runOrError"]
            plan = run.get("executionPlan") or {"steps": []}
            progress.total = len(plan["steps"])
            for step in self._news(run_id, progress):
                on_step(step)
            if run.get("status") in _DONE:
                tags = {tag["key"]: tag["value"] for tag in run.get("tags", [])}
                is_retried = run["status"] == "FAILURE" and tags.get(_RETRY_TAG) == "true"
                return Outcome(run_id, run["status"], time.monotonic() - began, progress.reason, is_retried)
            missed = missed + 1 if self._is_dead(progress) else 0
            is_stillborn = run.get("status") == "NOT_STARTED" and time.monotonic() - began > PATIENCE_S
            if missed * _POLL_S > 5 or is_stillborn:
                return None
            time.sleep(_POLL_S)

    def _news(self, run_id: str, progress: _Progress) -> Iterator[Step]:
        """Steps that began or ended since the last look."""
        has_more = True
        while has_more:
            page = self._ask(_EVENTS, id=run_id, after=progress.cursor)["logsForRun"]
            events = page.get("events", [])
            progress.cursor = page.get("cursor") or progress.cursor
            has_more = bool(page.get("hasMore") and events)
            yield from filter(None, (_step(event, progress) for event in events))


def _step(event: dict[str, Any], progress: _Progress) -> Step | None:
    kind, name = event["__typename"], event.get("stepKey")
    at = float(event.get("timestamp") or 0) / 1000
    if kind == "EngineEvent":
        for entry in event.get("metadataEntries") or []:
            if entry["label"] == "pid":
                progress.pid = int(entry.get("intRepr") or entry.get("text") or 0) or None
        return None
    if kind == "RunFailureEvent":
        progress.reason = progress.reason or (event.get("error") or {}).get("message") or event.get("message")
        return None
    if not name:
        return None
    if kind == "ExecutionStepStartEvent":
        progress.began[name] = at
        return Step("began", name, number=progress.done + 1, total=progress.total)
    ends: dict[str, Literal["done", "failed", "skipped"]] = {
        "ExecutionStepSuccessEvent": "done",
        "ExecutionStepFailureEvent": "failed",
        "ExecutionStepSkippedEvent": "skipped",
    }
    if kind not in ends:
        return None
    progress.done += 1
    reason = None
    if ends[kind] == "failed":
        error = event.get("error") or {}
        reason = ((error.get("cause") or {}).get("message") or error.get("message") or "").strip()
        progress.reason = progress.reason or f"{name}: {reason}"
    return Step(ends[kind], name, at - progress.began.get(name, at), progress.done, progress.total, reason)
