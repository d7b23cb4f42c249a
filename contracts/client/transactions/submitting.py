"""From intents to reserved nonces: known keys are answered, the others are simulated, priced, and get nonce and row at once.

Belongs here: everything before a nonce is taken, and the one database transaction that takes it. What can fail without
leaving a trace fails first. Does not belong here: signing and sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.transactions import reverts
from contracts.client.transactions.desk import Desk
from contracts.client.transactions.fees import Fees
from contracts.client.transactions.model import Intent, NotFunded, conflicting, no_lane
from nexus.db import lanes as lanes_db
from nexus.db import transactions as rows_db
from nexus.db.lanes import Lane
from nexus.db.pool import acquire
from nexus.db.transactions import New, Row
from nexus.errors import NexusError, unavailable

# Estimates hold for the state they were made on; what a call costs changes with what is mined before it. Gas that is not used is not paid.
_MARGIN_PERCENT, _MARGIN_GAS = 25, 20_000
_TRIES = 3


@dataclass(slots=True)
class Plan:
    """An intent with what was found out about it."""

    intent: Intent
    lane: str
    gas_limit: int = 0
    refusal: NexusError | None = None


@dataclass(slots=True)
class _Budget:
    """What a lane can still pay for, and how busy it is."""

    lane: Lane
    left_wei: int
    load: int
    lacks_wei: int = field(default=0)

    def takes(self, cost_wei: int) -> bool:
        return self.left_wei >= cost_wei


async def planned(desk: Desk, intents: Sequence[Intent], fees: Fees) -> list[Plan]:
    """Simulate and price intents of one role, each on the lane that has least to do and can pay for it."""
    role = intents[0].role
    async with acquire(desk.pool) as connection:
        lanes = [
            lane for lane in await lanes_db.lanes(connection, desk.chain.chain_id, role=role) if lane.state == "active"
        ]
    if not lanes:
        return [Plan(intent, "", refusal=no_lane(role)) for intent in intents]
    balances = await desk.view.balances(lane.address for lane in lanes)
    budgets = [
        _Budget(lane, balances[lane.address] - lane.open_gas * fees.max_fee_wei - lane.open_value_wei, lane.in_flight)
        for lane in lanes
        if lane.address in balances
    ]
    if not budgets:
        refusal = away("no node tells the balances of the signers")
        return [Plan(intent, "", refusal=refusal) for intent in intents]
    able = [one for one in budgets if one.left_wei > 0] or budgets
    plans = [Plan(intent, able[number % len(able)].lane.address) for number, intent in enumerate(intents)]
    await _simulate(desk, plans)
    for plan in plans:
        if plan.refusal is None:
            _assign(desk, plan, budgets, fees)
    await _note_needs(desk, budgets)
    return plans


async def _simulate(desk: Desk, plans: Sequence[Plan]) -> None:
    """``eth_estimateGas`` runs the call on the newest block; what reverts there is refused here."""
    questions: list[tuple[str, list[Any]]] = [("eth_estimateGas", [_call(plan), "latest"]) for plan in plans]
    for plan, outcome in zip(plans, await desk.rpc.batch(questions), strict=True):
        if isinstance(outcome, Answered):
            plan.refusal = reverts.reverted(outcome) if reverts.is_revert(outcome) else _refused(desk, plan, outcome)
        elif isinstance(outcome, Indeterminate):
            plan.refusal = away(str(outcome))
        else:
            estimate = _gas(outcome)
            is_plain = estimate == rows_db.LEAST_GAS
            plan.gas_limit = estimate if is_plain else estimate * (100 + _MARGIN_PERCENT) // 100 + _MARGIN_GAS
            plan.refusal = None if estimate else away("a node estimated no gas")


def _gas(outcome: Any) -> int:
    try:
        return max(int(outcome, 16), rows_db.LEAST_GAS)
    except (TypeError, ValueError):
        return 0


def _call(plan: Plan) -> dict[str, str]:
    intent = plan.intent
    found = {"from": plan.lane, "to": intent.to, "data": "0x" + intent.data.hex()}
    return found | ({"value": hex(intent.value)} if intent.value else {})


def _refused(desk: Desk, plan: Plan, error: Answered) -> NexusError:
    if "insufficient" in error.message.lower():
        return NotFunded(plan.lane, plan.intent.value, desk.chain.coin)
    return away(f"a node refuses to simulate it: {error.message[:200]}")


def away(reason: str) -> NexusError:
    """The error for a chain that nothing can be learned from now."""
    return unavailable(
        "the chain does not answer",
        remedy="see bin/nexus status; nothing was sent, the same call may be made again",
        reason=reason,
    )


def _assign(desk: Desk, plan: Plan, budgets: Sequence[_Budget], fees: Fees) -> None:
    """The least busy lane that can pay; a lane that is stuck is busy, so others get the work."""
    cost = plan.gas_limit * fees.max_fee_wei + plan.intent.value
    able = [one for one in budgets if one.takes(cost)]
    for one in budgets:
        if one not in able:
            one.lacks_wei = max(one.lacks_wei, cost - one.left_wei)
    if not able:
        nearest = min(budgets, key=lambda one: cost - one.left_wei)
        plan.refusal = NotFunded(nearest.lane.address, cost - nearest.left_wei, desk.chain.coin)
        return
    chosen = min(able, key=lambda one: (one.load, one.lane.address))
    chosen.load += 1
    chosen.left_wei -= cost
    plan.lane = chosen.lane.address


async def _note_needs(desk: Desk, budgets: Sequence[_Budget]) -> None:
    changed = [one for one in budgets if (one.lacks_wei or None) != one.lane.needs_wei]
    if not changed:
        return
    async with acquire(desk.pool) as connection:
        for one in changed:
            await lanes_db.set_needs(connection, desk.chain.chain_id, one.lane.address, one.lacks_wei or None)


async def reserve(desk: Desk, plans: Sequence[Plan]) -> dict[str, Row | NexusError]:
    """Take nonces and store rows in ONE database transaction, under the locks of the lanes; outcomes by key."""
    for _ in range(_TRIES):
        try:
            return await _reserve(desk, plans)
        except psycopg.errors.UniqueViolation:
            continue  # somebody stored one of the keys through other lanes meanwhile; it is found on the next look
    raise NexusError("the same keys are being submitted elsewhere", remedy="try again", field="key")


async def _reserve(desk: Desk, plans: Sequence[Plan]) -> dict[str, Row | NexusError]:
    chain_id, keys = desk.chain.chain_id, [plan.intent.key for plan in plans]
    role = plans[0].intent.role
    async with acquire(desk.pool) as connection, connection.transaction():
        states = await lanes_db.locked_of_role(connection, chain_id, role)
        active = [address for address, state in states.items() if state == "active"]
        outcomes: dict[str, Row | NexusError] = dict(await rows_db.by_keys(connection, chain_id, keys))
        fresh = [plan for plan in plans if plan.intent.key not in outcomes]
        if fresh and not active:
            return outcomes | {plan.intent.key: no_lane(role) for plan in fresh}
        by_lane: dict[str, list[Plan]] = {}
        for plan in fresh:
            lane = plan.lane if plan.lane in active else active[0]
            by_lane.setdefault(lane, []).append(plan)
        rows: list[New] = []
        for lane, mine in sorted(by_lane.items()):
            first = await lanes_db.taken(connection, chain_id, lane, len(mine))
            rows += [_new(plan, lane, first + place) for place, plan in enumerate(mine)]
        await rows_db.insert(connection, chain_id, rows)
        stored = await rows_db.by_keys(connection, chain_id, [row.key for row in rows])
    outcomes.update(stored)
    return outcomes


def _new(plan: Plan, lane: str, nonce: int) -> New:
    one = plan.intent
    return New(
        one.key, "intent", one.role, one.to, one.data, one.value, one.payload_hash(), plan.gas_limit, lane, nonce
    )


def checked_against(intent: Intent, row: Row) -> NexusError | None:
    """Refuse another payload under a used key."""
    return None if row.payload_hash == intent.payload_hash() else conflicting(intent.key)
