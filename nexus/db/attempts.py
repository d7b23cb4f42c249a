"""Attempts: every payload that was ever signed for a nonce, stored before it is sent; never changed, never deleted.

Belongs here: the SQL of nexus_web3.attempts. Does not belong here: the rows that they are for (nexus.db.transactions).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import psycopg

AttemptKind = Literal["intent", "cancel", "fill", "adopted"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed payload. Ages are in seconds; ``told_s``: since it was last sent to a node, None: never; ``said``: what that node said."""

    transaction_id: int
    signer: str
    nonce: int
    number: int
    kind: AttemptKind
    hash: str
    raw: bytes | None
    max_fee_wei: int
    tip_wei: int
    head: int
    is_accepted: bool = False
    age_s: float = 0.0
    told_s: float | None = None
    said: str | None = None


async def store(connection: psycopg.AsyncConnection, chain_id: int, attempts: Sequence[Attempt]) -> set[str]:
    """Store signed payloads of rows that still hold their nonce; the hashes of those that were new.

    The number of an attempt is its place among those of its nonce: of two that were signed at once one is stored,
    and only what is stored is ever sent.
    """
    names = ["transaction_id", "signer", "nonce", "number", "kind", "hash", "raw", "max_fee_wei", "tip_wei", "head"]
    types = ["bigint", "text", "bigint", "integer", "text", "text", "bytea", "numeric", "numeric", "bigint"]
    columns = [[getattr(one, name) for one in attempts] for name in names]
    arrays, listed = ", ".join(f"%s::{kind}[]" for kind in types), ", ".join(names)
    chosen = ", ".join(f"n.{name}" for name in names)
    cursor = await connection.execute(
        f"insert into nexus_web3.attempts (chain_id, {listed})"  # noqa: S608 - constants
        f" select t.chain_id, {chosen} from unnest({arrays}) as n ({listed})"
        " join nexus_web3.transactions t on t.id = n.transaction_id and t.signer = n.signer and t.nonce = n.nonce"
        " where t.chain_id = %s on conflict do nothing returning hash",
        (*columns, chain_id),
    )
    return {str(found) for (found,) in await cursor.fetchall()}


async def of_rows(connection: psycopg.AsyncConnection, ids: Sequence[int]) -> dict[int, list[Attempt]]:
    """Signed payloads of rows for the nonce that each holds now, oldest first."""
    cursor = await connection.execute(
        """
        select a.transaction_id, a.signer, a.nonce, a.number, a.kind, a.hash, a.raw, a.max_fee_wei, a.tip_wei, a.head,
          a.accepted_at is not null, extract(epoch from now() - a.made_at)::float8,
          extract(epoch from now() - a.told_at)::float8, a.said
        from nexus_web3.attempts a join nexus_web3.transactions t
          on t.id = a.transaction_id and t.chain_id = a.chain_id and t.signer = a.signer and t.nonce = a.nonce
        where a.transaction_id = any(%s) order by a.transaction_id, a.number
        """,
        (list(ids),),
        binary=True,
    )
    found: dict[int, list[Attempt]] = {}
    for one in await cursor.fetchall():
        attempt = replace(Attempt(*one), max_fee_wei=int(one[7]), tip_wei=int(one[8]))
        found.setdefault(attempt.transaction_id, []).append(attempt)
    return found


async def note_answers(
    connection: psycopg.AsyncConnection, chain_id: int, answers: Iterable[tuple[str, bool, str | None]]
) -> None:
    """Note that payloads were sent: hash, whether a node took it, and its words."""
    listed = list(answers)
    if not listed:
        return
    columns = [list(column) for column in zip(*listed, strict=True)]
    await connection.execute(
        "update nexus_web3.attempts a set told_at = now(), said = left(n.said, 500),"
        " accepted_at = coalesce(a.accepted_at, case when n.accepted then now() end)"
        " from unnest(%s::text[], %s::boolean[], %s::text[]) as n (hash, accepted, said)"
        " where a.chain_id = %s and a.hash = n.hash",
        (*columns, chain_id),
    )
