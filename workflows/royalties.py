"""DistributeRoyalties: what the splitter holds is paid to every payee, in the native coin and in ERC-20 tokens, once.

Steps: list -> pay. A release's key names the distribution, the payee and the asset, so the same distribution pays
nobody twice however often it is run; payments go out side by side. A payee that cannot be paid is told in the result
and blocks nobody else. Does not belong here: shares and amounts (the contract decides them).
"""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():  # pure data, and slow to build once per workflow run
    from nexus import temporal_names
    from workflows.activities import names
    from workflows.messages import Progress, StepState
    from workflows.patience import follow, patiently
    from workflows.steps import StepLog
    from workflows.web3_messages import (
        Payment,
        Release,
        Releases,
        RoyaltiesRequest,
        RoyaltiesResult,
        TransactionView,
    )

LIST, PAY = "list", "pay"
STEPS = (LIST, PAY)


@workflow.defn(name=temporal_names.ROYALTIES_WORKFLOW)
class DistributeRoyalties:
    """One distribution."""

    @workflow.init
    def __init__(self, request: RoyaltiesRequest) -> None:  # noqa: ARG002 recorded in the history
        self._log = StepLog(STEPS)
        self._waiting: str | None = None
        self._paid = 0

    @workflow.run
    async def run(self, request: RoyaltiesRequest) -> RoyaltiesResult:
        """Pay all that can be paid."""
        self._log.start(LIST)
        try:
            found = await patiently(names.LIST_RELEASES, request, Releases, wait=lambda why: self._log.note(LIST, why))
        except ActivityError as error:
            self._log.close(
                StepState.FAILED, error.cause.message if isinstance(error.cause, ApplicationError) else None
            )
            raise
        self._log.finish(LIST, f"{len(found.items)} payments")
        self._log.start(PAY)
        payments = await asyncio.gather(*(self._pay(release, len(found.items)) for release in found.items))
        self._log.finish(PAY, f"{self._paid} of {len(found.items)} paid")
        self._log.close()
        return RoyaltiesResult(payments=tuple(payments))

    @workflow.query(name=temporal_names.PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where each step stands."""
        return self._log.progress()

    async def _pay(self, release: Release, total: int) -> Payment:
        def see(view: TransactionView) -> None:
            if view.state == "blocked":
                self._log.note(PAY, view.detail)

        ended = await follow(release.call, see)
        is_paid = ended.state == "final"
        self._paid += is_paid
        self._log.note(PAY, f"{self._paid} of {total} paid")
        return Payment(
            payee=release.payee,
            token=release.token,
            amount=release.amount,
            outcome="paid" if is_paid else "refused",
            tx_hash=ended.tx_hash,
            reason=None if is_paid else ended.detail,
        )
