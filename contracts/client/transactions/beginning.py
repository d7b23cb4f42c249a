"""The first steps of new intents, in their order: simulate, price, reserve, sign, store, send.

Belongs here: that order. Does not belong here: the steps (submitting.py, signing.py, sending.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.transactions import sending, signing, submitting
from contracts.client.transactions.desk import Desk, Held
from contracts.client.transactions.fees import offered
from contracts.client.transactions.model import Intent
from contracts.client.transactions.view import Head
from nexus.db import transactions as rows_db
from nexus.db.pool import acquire
from nexus.db.transactions import Row
from nexus.errors import NexusError


async def begin(desk: Desk, intents: Sequence[Intent]) -> dict[str, Row | NexusError]:
    """Begin intents whose keys are not known; row or refusal by key."""
    try:
        head = await desk.view.head()
    except (Indeterminate, Answered) as error:
        return {intent.key: submitting.away(str(error)) for intent in intents}
    outcomes: dict[str, Row | NexusError] = {}
    for role in sorted({intent.role for intent in intents}):
        outcomes |= await _begin_role(desk, [one for one in intents if one.role == role], head)
    return outcomes


async def _begin_role(desk: Desk, intents: Sequence[Intent], head: Head) -> dict[str, Row | NexusError]:
    plans = await submitting.planned(desk, intents, offered(desk.chain, head.base_fee_wei))
    outcomes: dict[str, Row | NexusError] = {one.intent.key: one.refusal for one in plans if one.refusal is not None}
    if outcomes:  # the contract also refuses what another worker has done since we looked: then it is that row
        async with acquire(desk.pool) as connection:
            outcomes.update(await rows_db.by_keys(connection, desk.chain.chain_id, list(outcomes)))
    good = [plan for plan in plans if plan.refusal is None]
    if not good:
        return outcomes
    reserved = await submitting.reserve(desk, good)
    rows = [row for row in reserved.values() if not isinstance(row, NexusError) and row.state == "reserved"]
    orders = [sending.first(desk, Held(row, []), head) for row in rows]
    stored = await signing.sign_and_store(desk, orders, head.number)
    await sending.send(desk, stored, head)
    return outcomes | reserved
