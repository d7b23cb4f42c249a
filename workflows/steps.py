"""The list of steps that a person follows: kept by a workflow, answered to queries, mirrored in its memo.

The memo is what makes the list readable without a worker (the server answers it). Timestamps come from the
workflow's clock, so a replay gives the same ones. Does not belong here: what a step does.
"""

from __future__ import annotations

from collections.abc import Sequence

from temporalio import workflow

with workflow.unsafe.imports_passed_through():  # pure data, and slow to build once per workflow run
    from nexus.temporal_names import STEPS_MEMO
    from workflows.messages import Progress, Step, StepState


class StepLog:
    """Where each step of one workflow run stands."""

    def __init__(self, names: Sequence[str]) -> None:
        self._steps = {name: Step(name=name) for name in names}

    def progress(self) -> Progress:
        """All steps, in order."""
        return Progress(steps=tuple(self._steps.values()))

    def start(self, name: str, detail: str | None = None) -> None:
        """The step runs now."""
        self._set(name, state=StepState.RUNNING, started_at=workflow.now(), detail=detail)
        self._mirror()

    def note(self, name: str, detail: str | None) -> None:
        """What a person should know of a step that takes its time."""
        if self._steps[name].detail != detail:
            self._set(name, detail=detail)
            self._mirror()

    def finish(self, name: str, detail: str | None = None) -> None:
        """The step is done; shown with the next change, or with :meth:`close`."""
        self._set(name, state=StepState.COMPLETED, finished_at=workflow.now(), detail=detail)

    def close(self, state: StepState | None = None, detail: str | None = None) -> None:
        """The workflow ends: what runs gets this state, what never ran is cancelled, if a state is given."""
        for name, step in self._steps.items():
            if state is not None and step.state is StepState.RUNNING:
                self._set(name, state=state, finished_at=workflow.now(), detail=detail)
            elif state is not None and step.state is StepState.PENDING:
                self._set(name, state=StepState.CANCELLED)
        self._mirror()

    def is_done(self, name: str) -> bool:
        """Whether the step has been completed."""
        return self._steps[name].state is StepState.COMPLETED

    def is_started(self, name: str) -> bool:
        """Whether the step runs or has run."""
        return self._steps[name].state is not StepState.PENDING

    def _set(self, name: str, **changes: object) -> None:
        self._steps[name] = self._steps[name].model_copy(update=changes)

    def _mirror(self) -> None:
        steps = [step.model_dump(mode="json", exclude_none=True) for step in self._steps.values()]
        workflow.upsert_memo({STEPS_MEMO: steps})
