"""Getting signed bytes into a block: sending, sending again, offering more, cancelling.

Belongs here: what a row that waits needs next, and what a node's answer changes. Does not belong here: rows that are in a
block or whose nonce is used (watching.py). No answer of a node ends anything here.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from contracts.client.transactions import answers
from contracts.client.transactions.answers import Answer
from contracts.client.transactions.desk import Desk, Held, moved
from contracts.client.transactions.fees import Fees, offered, raised
from contracts.client.transactions.signing import Order, kind_of, sign_and_store
from contracts.client.transactions.view import Head
from nexus.db import attempts as attempts_db
from nexus.db import transactions as rows_db
from nexus.db.attempts import Attempt
from nexus.db.pool import acquire
from nexus.db.transactions import Move

CEILING = "the chain asks for more than the ceiling of {limit} wei a unit of gas; it waits until that falls"
_EVERYWHERE_UP_TO = 4
log = logging.getLogger(__name__)
_SOON = 5  # an offer that a node calls too low is raised after this part of the usual time


async def advance_waiting(desk: Desk, waiting: Sequence[Held], head: Head, counts: Mapping[str, int]) -> None:
    """Sign, raise and send what waits.

    Args:
        desk: What to work with.
        waiting: Rows whose nonce is not used yet, as far as the chain shows.
        head: The newest block.
        counts: Used nonces of each lane; a lane that is missing is left alone.
    """
    known = [held for held in waiting if held.slot[0] in counts]
    near = [held for held in known if held.slot[1] < counts[held.slot[0]] + desk.patience.window]
    orders, sleeping = _orders(desk, near, head, counts)
    fresh = await sign_and_store(desk, orders, head.number)
    ordered = {order.held.row.id for order in orders}
    again = [held for held in near if held.row.id not in ordered and _is_due(desk, held)]
    capped = {held.row.id for held in sleeping}
    await send(desk, fresh + again, head, capped=capped)
    told = {held.row.id for held in again}
    await _note_ceiling(desk, [held for held in sleeping if held.row.id not in told])


def _orders(desk: Desk, near: Sequence[Held], head: Head, counts: Mapping[str, int]) -> tuple[list[Order], list[Held]]:
    """What has to be signed now, and what would be if the ceiling let it."""
    orders: list[Order] = []
    sleeping: list[Held] = []
    for held in near:
        newest = held.newest
        if newest is None:
            orders.append(first(desk, held, head))
            continue
        is_first_cancel = held.row.is_cancelling and newest.kind == "intent"
        is_in_front = held.slot[1] < counts[held.slot[0]] + desk.patience.bump_window
        if not is_first_cancel and not (is_in_front and _is_late(desk, newest, head)):
            continue
        fees = raised(desk.chain, Fees(newest.max_fee_wei, newest.tip_wei), head.base_fee_wei)
        if fees is None:
            sleeping.append(held)
        else:
            orders.append(Order(held, kind_of(held), fees, _ceiling(desk, fees)))
    return orders, sleeping


def first(desk: Desk, held: Held, head: Head) -> Order:
    """The first payload of a row."""
    fees = offered(desk.chain, head.base_fee_wei)
    return Order(held, kind_of(held), fees, _ceiling(desk, fees))


def _ceiling(desk: Desk, fees: Fees) -> str | None:
    return CEILING.format(limit=desk.chain.max_fee_wei) if fees.is_at_ceiling else None


def _is_late(desk: Desk, newest: Attempt, head: Head) -> bool:
    """Whether blocks went by without it for long enough; a chain that stands still is no reason to pay more."""
    if newest.raw is None:
        return True  # adopted, orphaned since: it has to be signed here
    if head.number < newest.head + 2 or newest.told_s is None:
        return False
    if newest.is_accepted:
        return newest.age_s > desk.chain.bump_after_s
    # Never taken: only a node that asks for more is offered more, otherwise the same bytes go out again.
    is_too_low = newest.said is not None and answers.of_words(newest.said) in {Answer.OUTBID, Answer.TOO_CHEAP}
    return is_too_low and newest.age_s > desk.chain.bump_after_s / _SOON


def _is_due(desk: Desk, held: Held) -> bool:
    """Whether the same bytes are sent again now."""
    newest = held.newest
    if newest is None or newest.raw is None:
        return False
    pause_s = desk.patience.remind_s if newest.is_accepted else desk.patience.again_s
    return newest.told_s is None or newest.told_s > pause_s


async def _note_ceiling(desk: Desk, sleeping: Sequence[Held]) -> None:
    reason = CEILING.format(limit=desk.chain.max_fee_wei)
    silent = [held.row for held in sleeping if held.row.reason != reason]
    if silent:
        async with acquire(desk.pool) as connection:
            await rows_db.move(connection, [moved(row, row.state, reason) for row in silent])


async def send(desk: Desk, held: Sequence[Held], head: Head, *, capped: Collection[int] = ()) -> None:
    """Send the newest payload of each row, lowest nonces first, and note what nodes say.

    Args:
        desk: What to work with.
        held: The rows.
        head: The newest block.
        capped: Ids of rows that would offer more if the ceiling let them.
    """
    listed = sorted((one for one in held if one.newest and one.newest.raw), key=lambda one: one.slot)
    if not listed:
        return
    outcomes = await _tell_nodes(desk, listed)
    said = [answers.read(outcome) for outcome in outcomes]
    hopeless = await _hopeless(desk, listed, said)
    notes: list[tuple[str, bool, str | None]] = []
    moves: list[Move] = []
    for one, outcome, answer in zip(listed, outcomes, said, strict=True):
        assert one.newest is not None  # noqa: S101 - chosen above
        notes.append((one.newest.hash, answer is Answer.TAKEN, answers.words_of(outcome)))
        move = _moved(
            desk, one, answer, outcome, is_capped=one.row.id in capped or head.base_fee_wei > desk.chain.max_fee_wei
        )
        if move is not None:
            moves.append(move)
    async with acquire(desk.pool) as connection, connection.transaction():
        await attempts_db.note_answers(connection, desk.chain.chain_id, notes)
        await rows_db.move(connection, moves)
        await _give_up(desk, connection, hopeless)


async def _tell_nodes(desk: Desk, listed: Sequence[Held]) -> list[Any]:
    """One outcome a payload. What was sent before goes to every endpoint, in case one of them forgot it."""
    raws = ["0x" + one.newest.raw.hex() for one in listed if one.newest and one.newest.raw]
    is_again = any(one.newest is not None and one.newest.told_s is not None for one in listed)
    if is_again and len(raws) <= _EVERYWHERE_UP_TO and len(desk.rpc.health()) > 1:
        return [_best(await desk.rpc.everywhere("eth_sendRawTransaction", [raw])) for raw in raws]
    return list(await desk.rpc.batch([("eth_sendRawTransaction", [raw]) for raw in raws]))


def _best(outcomes: Sequence[Any]) -> Any:
    """The answer that says most: one endpoint that took it is enough."""
    order = list(Answer)
    return min(outcomes, key=lambda outcome: order.index(answers.read(outcome)))


def _moved(desk: Desk, one: Held, answer: Answer, outcome: Any, *, is_capped: bool) -> Move | None:
    """What an answer changes about a row; None: nothing."""
    row = one.row
    if answer in {Answer.TAKEN, Answer.NONCE_USED, Answer.OUTBID}:
        why = row.reason if row.is_cancelling else None
        told = CEILING.format(limit=desk.chain.max_fee_wei) if is_capped else why
        return None if row.state == "sent" and row.reason == told else moved(row, "sent", told)
    if answer is Answer.UNKNOWN:
        return None
    reason = str(outcome)[:500]
    if answer is Answer.NO_FUNDS:
        reason = f"the signer {row.signer} has not enough {desk.chain.coin}; it goes on when it is funded ({reason})"
    if answer is Answer.TOO_CHEAP:
        reason = f"{CEILING.format(limit=desk.chain.max_fee_wei)} ({reason})"
    return None if row.reason == reason else moved(row, row.state, reason)


async def _hopeless(desk: Desk, listed: Sequence[Held], said: Sequence[Answer]) -> list[Held]:
    """What every endpoint refuses for good, asked one by one: the word of a single node ends nothing."""
    refused = [
        one
        for one, answer in zip(listed, said, strict=True)
        if answer is Answer.REFUSED and one.newest is not None and _is_past_hope(desk, one, one.newest)
    ]
    agreed: list[Held] = []
    for one in refused[:_EVERYWHERE_UP_TO]:
        assert one.newest is not None and one.newest.raw is not None  # noqa: S101, PT018 - it was sent
        heard = await desk.rpc.everywhere("eth_sendRawTransaction", ["0x" + one.newest.raw.hex()])
        if heard and all(answers.read(outcome) is Answer.REFUSED for outcome in heard):
            agreed.append(one)
    return agreed


def _is_past_hope(desk: Desk, one: Held, newest: Attempt) -> bool:
    is_plain = one.row.kind == "intent" and not one.row.is_cancelling
    return is_plain and not newest.is_accepted and newest.age_s > desk.chain.bump_after_s


async def _give_up(desk: Desk, connection: Any, hopeless: Sequence[Held]) -> None:
    """What nodes refuse for good would block its lane for ever: its nonce is used up by a self-send instead."""
    for one in hopeless:
        log.warning("transaction.refused", extra={"key": one.row.key, "signer": one.row.signer, "nonce": one.row.nonce})
        fresh = (await rows_db.by_keys(connection, desk.chain.chain_id, [one.row.key]))[one.row.key]
        await rows_db.set_cancelling(connection, fresh)
