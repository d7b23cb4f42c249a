"""The activity that sends a call once and says how it is doing, for every workflow that needs a transaction.

Each attempt makes one move (submit, or one step of the transaction manager) and ends. Does not belong here: how
exactly-once is reached (contracts.client.transactions), what a call is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from nexus.errors import NexusError
from workflows.activities import names
from workflows.activities.edge import heartbeating, translated
from workflows.activities.waiting import is_worth_telling, when_changed
from workflows.activities.web3 import Web3
from workflows.web3_messages import Call, CallTask, TransactionView

if TYPE_CHECKING:
    from contracts.client.transactions.model import Intent, NotFunded, Reverted, Transaction

MOVE_S = 25.0
"""A move that takes longer is left, and made again: nothing of it is lost."""
_SHORT = 18
_NOT_ALLOWED = "AccessControlUnauthorizedAccount"


class TransactionActivities:
    """Moves transactions on."""

    def __init__(self, web3: Web3) -> None:
        self._web3 = web3

    @activity.defn(name=names.ADVANCE_CALL)
    @translated
    async def advance(self, task: CallTask) -> TransactionView:
        """Send the call, or take it back; answer when it is news how it is doing."""
        async with heartbeating("chain"):
            view = await self._view(task)
        return when_changed(view, task.known, pace_s=self._web3.chain.block_s)

    async def _view(self, task: CallTask) -> TransactionView:
        from contracts.client.transactions.model import NotFunded, Reverted

        try:
            async with self._web3.to_chain.asking(MOVE_S):
                return self._seen(await self._moved(task))
        except NotFunded as error:
            return TransactionView(
                state="blocked", detail=unfunded(error, self._web3.chain.coin, self._web3.chain.name)
            )
        except Reverted as error:
            if await self._is_about_our_key(error):
                return TransactionView(
                    state="blocked", detail=f"waits: our key may not do this yet ({error.name})"[:400]
                )
            return TransactionView(state="failed", detail=error.name[:400])
        except NexusError as error:
            if not error.retryable or not is_worth_telling():
                raise
            return TransactionView(state="blocked", detail=f"waits: {error.message}"[:400])

    async def _is_about_our_key(self, error: Reverted) -> bool:
        """Whether a key of ours lacks a role, as while it is being granted: a matter of ours, not of the call."""
        if not error.name.startswith(_NOT_ALLOWED):
            return False
        return any(lane.address in error.name.lower() for lane in await self._web3.transactions.lanes())

    async def _moved(self, task: CallTask) -> Transaction:
        transactions, key = self._web3.transactions, task.call.key
        known = await transactions.look(key)
        if known is None and task.is_cancelling:
            return await transactions.close(intent(task.call))
        if known is None:
            return await transactions.submit(intent(task.call))
        if known.is_ended:
            return known
        if task.is_cancelling and task.known is None:
            return await transactions.cancel(key)
        await self._web3.advance_together()
        return await transactions.look(key) or known

    def _seen(self, found: Transaction) -> TransactionView:
        tx_hash = found.tx_hash or (found.hashes[-1] if found.hashes else None)
        told = {
            "reserved": f"nonce {found.nonce} is reserved",
            "signed": "signed and stored",
            "sent": f"sent as {(tx_hash or '')[:_SHORT]}, waits for a block",
            "mined": f"in block {found.block_number}, waits until that is final",
            "final": f"final in block {found.block_number}",
        }
        return TransactionView(
            state=found.state,
            detail=told.get(found.state, found.reason),
            tx_hash=tx_hash,
            block_number=found.block_number,
            block_hash=found.block_hash,
            sender=found.signer,
        )


def intent(call: Call) -> Intent:
    """A call as the transaction manager takes it."""
    from contracts.client.transactions.model import Intent

    return Intent(call.key, call.to, bytes.fromhex(call.data[2:]), int(call.value), call.role)


def unfunded(error: NotFunded, coin: str, chain: str) -> str:
    """What a person has to do so that a transaction can be paid for."""
    amount = error.needed_wei / 10**18
    return (
        f"waits for funds: {error.address} needs {error.needed_wei} wei ({amount:.6f} {coin}) more on {chain};"
        " send it, and this goes on by itself"
    )
