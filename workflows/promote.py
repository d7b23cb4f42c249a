"""PromoteModel: a registered version becomes the champion, or the champion goes back to the previous one.

Asked for with ``require_approval``, it waits for a person's word (update ``approve``) and ends as ``expired`` when none
comes in time; ``rejected`` and ``expired`` change nothing. The id names model and version, so that the same promotion
asked for twice is one. Does not belong here: the evidence for a promotion (the gate asset), the registry itself.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Literal

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

with workflow.unsafe.imports_passed_through():  # pure data, and slow to build once per workflow run
    from nexus import temporal_names
    from workflows.activities import names
    from workflows.messages import (
        Acknowledged,
        Approval,
        CancelRequest,
        Progress,
        PromoteModelRequest,
        PromoteModelResult,
        PromotionStatus,
        RegistryChange,
        RegistryCommand,
        StepState,
    )
    from workflows.policies import REGISTRY
    from workflows.steps import StepLog
    from workflows.updates import cancelled_by_update, conflict

APPROVAL, CHANGE = "approval", "registry"

Outcome = Literal["done", "rejected", "expired"]


@workflow.defn(name=temporal_names.PROMOTE_WORKFLOW)
class PromoteModel:
    """One change of champion."""

    @workflow.init
    def __init__(self, request: PromoteModelRequest) -> None:
        self._request = request
        self._log = StepLog((APPROVAL, CHANGE) if request.require_approval else (CHANGE,))
        self._approval: Approval | None = None
        self._is_cancelling = False
        self._outcome: Outcome | None = None

    @workflow.run
    async def run(self, request: PromoteModelRequest) -> PromoteModelResult:
        """Wait for approval where asked, then change the registry."""
        try:
            result = await self._decide_and_change(request)
        except (Exception, asyncio.CancelledError) as error:
            is_cancelled = self._is_cancelling or is_cancelled_exception(error)
            self._log.close(StepState.CANCELLED if is_cancelled else StepState.FAILED)
            await workflow.wait_condition(workflow.all_handlers_finished)
            raise
        await workflow.wait_condition(workflow.all_handlers_finished)
        return result

    @workflow.query(name=temporal_names.PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where each step stands."""
        return self._log.progress()

    @workflow.query(name=temporal_names.STATUS_QUERY)
    def status(self) -> PromotionStatus:
        """Whether it waits for a person."""
        waits = self._request.require_approval and self._approval is None
        state = self._outcome or ("waiting_for_approval" if waits else "running")
        return PromotionStatus(state=state, request=self._request, decided_by=self._decided_by())

    @workflow.update(name=temporal_names.APPROVE_UPDATE)
    async def approve(self, approval: Approval) -> Acknowledged:
        """A person decides; the first word counts."""
        self._approval = approval
        return Acknowledged()

    @approve.validator
    def _may_approve(self, approval: Approval) -> None:  # noqa: ARG002 the signature is the engine's
        if not self._request.require_approval:
            raise conflict("this promotion needs no approval")
        if self._approval is not None or self._outcome is not None or self._is_cancelling:
            raise conflict("it has been decided already")

    @workflow.update(name=temporal_names.CANCEL_UPDATE)
    async def cancel(self, request: CancelRequest) -> Acknowledged:  # noqa: ARG002 recorded in the history
        """Stop while nothing has been changed."""
        self._is_cancelling = True
        return Acknowledged()

    @cancel.validator
    def _may_cancel(self, request: CancelRequest) -> None:  # noqa: ARG002 the signature is the engine's
        if self._is_cancelling or self._approval is not None or self._log.is_started(CHANGE):
            raise conflict("it is too late to cancel: the registry is being changed")

    async def _decide_and_change(self, request: PromoteModelRequest) -> PromoteModelResult:
        if request.require_approval:
            refused = await self._wait_for_approval(request)
            if refused is not None:
                self._log.close(StepState.CANCELLED)
                return self._end(refused)
        self._log.start(CHANGE)
        command = RegistryCommand(
            action=request.action, version=request.version, model_name=request.model_name, reason=request.reason
        )
        change = await workflow.execute_activity(
            names.CHANGE_REGISTRY, command, result_type=RegistryChange, **REGISTRY.options()
        )
        self._log.finish(CHANGE, f"champion {change.champion}")
        self._log.close()
        return self._end("done", change)

    async def _wait_for_approval(self, request: PromoteModelRequest) -> Outcome | None:
        self._log.start(APPROVAL)
        try:
            await workflow.wait_condition(
                lambda: self._approval is not None or self._is_cancelling,
                timeout=timedelta(seconds=request.approval_timeout_s),
            )
        except TimeoutError:
            return "expired"
        if self._is_cancelling:
            raise cancelled_by_update()
        approved = self._approval is not None and self._approval.approved
        self._log.finish(APPROVAL, "approved" if approved else "rejected")
        return None if approved else "rejected"

    def _end(self, outcome: Outcome, change: RegistryChange | None = None) -> PromoteModelResult:
        self._outcome = outcome
        return PromoteModelResult(
            action=self._request.action,
            version=self._request.version,
            outcome=outcome,
            champion=change.champion if change else None,
            previous=change.previous if change else None,
            decided_by=self._decided_by(),
        )

    def _decided_by(self) -> str | None:
        return self._approval.by if self._approval else None
