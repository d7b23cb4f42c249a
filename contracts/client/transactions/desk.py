"""What every step of a transaction works with.

Belongs here: that bundle and the manager's patience. Does not belong here: steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from contracts.client.chains import Chain
from contracts.client.rpc.pool import Rpc
from contracts.client.signers.model import Signers
from contracts.client.transactions.view import View
from nexus.db.attempts import Attempt
from nexus.db.pool import AsyncPool
from nexus.db.transactions import Move, Row, State


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the manager waits, and how much it does at once.

    Args:
        poll_s: Between two looks at the chain.
        again_s: Before the same bytes are sent again to a node that did not take them.
        remind_s: Before the same bytes are sent again though a node took them.
        window: Nonces of a lane, from its first unmined one, that are sent at a time.
        bump_window: Nonces of a lane, from its first unmined one, whose offer is raised.
        sweep_for_h: How long after its end a transaction is looked at again.
        sweep_every_s: How often.
    """

    poll_s: float = 0.5
    again_s: float = 1.0
    remind_s: float = 12.0
    window: int = 256
    bump_window: int = 16
    sweep_for_h: float = 48.0
    sweep_every_s: float = 600.0

    @classmethod
    def of(cls, chain: Chain) -> Patience:
        """Fitting a chain's pace."""
        poll_s = min(2.0, max(0.1, chain.block_s / 4))
        return cls(poll_s=poll_s, again_s=max(0.5, chain.block_s / 2), remind_s=max(3.0, 3 * chain.block_s))


@dataclass(frozen=True, slots=True)
class Desk:
    """Postgres, nodes, rules, keys."""

    pool: AsyncPool
    rpc: Rpc
    chain: Chain
    signers: Signers
    view: View
    patience: Patience


@dataclass(slots=True)
class Held:
    """A row with the payloads signed for its nonce, oldest first."""

    row: Row
    attempts: list[Attempt]

    @property
    def newest(self) -> Attempt | None:
        """The payload with the highest offer."""
        return self.attempts[-1] if self.attempts else None

    @property
    def slot(self) -> tuple[str, int]:
        """Signer and nonce; rows that are at work always have one."""
        assert self.row.signer is not None and self.row.nonce is not None  # noqa: S101, PT018 - a constraint holds it
        return self.row.signer, self.row.nonce


def moved(row: Row, state: State, reason: str | None = None) -> Move:
    """A row in another state, in no block."""
    return Move(row.id, row.revision, state, reason=reason)


def after(row: Row, one: Move) -> Row:
    """A row as it is once a move was stored."""
    return replace(
        row,
        state=one.state,
        tx_hash=one.tx_hash,
        block_number=one.block_number,
        block_hash=one.block_hash,
        is_reverted=one.is_reverted,
        reason=one.reason,
        revision=row.revision + 1,
    )
