"""Activities that look at the splitter and the governor and prepare the calls that bring them on.

Does not belong here: sending (workflows.activities.transactions), ABI (contracts.client).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from temporalio import activity

from nexus.errors import Category, NexusError
from workflows.activities import names
from workflows.activities.edge import heartbeating, translated
from workflows.activities.waiting import when_changed
from workflows.activities.web3 import Web3
from workflows.web3_messages import (
    Call,
    ProposalTask,
    ProposalView,
    Release,
    Releases,
    RoyaltiesRequest,
)

if TYPE_CHECKING:
    from contracts.client.governor import Governor
    from contracts.client.splitter import Splitter

ROLE = "minter"
"""Anybody may release, queue and execute; these lanes have coins for gas."""
_SIDE_BY_SIDE = 8


class GovernanceActivities:
    """Looks at royalties and proposals."""

    def __init__(self, web3: Web3) -> None:
        self._web3 = web3

    @activity.defn(name=names.LIST_RELEASES)
    @translated
    async def releases(self, request: RoyaltiesRequest) -> Releases:
        """What every payee is due now."""
        from contracts.client.splitter import Splitter

        async with heartbeating("chain"):
            splitter = Splitter(self._web3.rpc, request.splitter or await self._web3.contract("NexusSplitter"))
            payees = await self._web3.asked(splitter.payees())
            gate = asyncio.Semaphore(_SIDE_BY_SIDE)
            found = await asyncio.gather(
                *(
                    self._release(splitter, request.number, payee.address, token, gate)
                    for payee in payees
                    for token in (None, *request.tokens)
                )
            )
        return Releases(items=tuple(one for one in found if one is not None))

    async def _release(
        self, splitter: Splitter, number: str, payee: str, token: str | None, gate: asyncio.Semaphore
    ) -> Release | None:
        async with gate:
            amount = await self._web3.asked(splitter.releasable(payee, token))
        if amount == 0:
            return None
        return Release(
            payee=payee.lower(),
            token=token,
            amount=str(amount),
            call=Call(
                key=f"royalties-{splitter.address.lower()}-{number}-{payee.lower()}-{token or 'native'}",
                to=splitter.address.lower(),
                data="0x" + splitter.release(payee, token).hex(),
                role=ROLE,
            ),
        )

    @activity.defn(name=names.LOOK_AT_PROPOSAL)
    @translated
    async def proposal(self, task: ProposalTask) -> ProposalView:
        """Where it stands, and what can be done about it now."""
        from contracts.client.governor import Governor

        async with heartbeating("chain"):
            governor = Governor(self._web3.rpc, await self._web3.contract("NexusGovernor"))
            view = await self._seen(governor, int(task.request.proposal_id))
        return when_changed(view, task.known, pace_s=max(1.0, self._web3.chain.block_s))

    async def _seen(self, governor: Governor, number: int) -> ProposalView:
        state = str(await self._web3.asked(governor.state(number)))
        if state in {"pending", "active"}:
            return _view(state, detail="waits for the members' vote")
        if state == "succeeded":
            return _view(state, call=await self._call(governor, number, "queue"))
        if state == "queued":
            return await self._queued(governor, number)
        return _view(state)

    async def _queued(self, governor: Governor, number: int) -> ProposalView:
        eta_s = await self._web3.asked(governor.eta_s(number))
        block = await self._web3.asked(self._web3.rpc.call("eth_getBlockByNumber", ["latest", False]))
        now_s = int(block["timestamp"], 16)
        if now_s < eta_s:
            return ProposalView(state="queued", detail=f"waits for the timelock until {eta_s} (seconds since 1970)")
        return ProposalView(state="queued", call=await self._call(governor, number, "execute"))

    async def _call(self, governor: Governor, number: int, move: str) -> Call:
        proposal = await self._web3.asked(governor.find(number))
        data = governor.queue(proposal) if move == "queue" else governor.execute(proposal)
        if proposal.id != number:
            raise NexusError(
                "the chain's log does not fit the proposal",
                category=Category.CONFLICT,
                field="proposal_id",
                value=number,
                remedy="check that the RPC endpoint is of the right chain",
            )
        run = activity.info().workflow_run_id
        return Call(
            key=f"proposal-{number % 10**24}-{move}-{run}",
            to=governor.address.lower(),
            data="0x" + data.hex(),
            role=ROLE,
        )


def _view(state: str, *, detail: str | None = None, call: Call | None = None) -> ProposalView:
    return ProposalView.model_validate({"state": state, "detail": detail, "call": call})
