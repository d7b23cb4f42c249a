"""The chains that titles can be minted on: their number, when a block counts as final, and what gas may cost.

Belongs here: facts of public chains and how settings change them. Does not belong here: talking to a node (rpc/),
choosing fees for a transaction (transactions/).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from nexus.errors import invalid

if TYPE_CHECKING:
    from nexus.settings import Settings

GWEI = 10**9
EMBEDDED = "anvil"


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain and our rules for it.

    Args:
        name: As in ``web3.chain``.
        chain_id: EIP-155 number; every endpoint has to name it.
        coin: What gas is paid in.
        finality: ``finalized``: the node's tag counts, and the depth too; ``depth``: only the depth.
        depth: Blocks that have to lie on top of a block.
        block_s: Usual seconds between blocks.
        tip_wei: Tip for a unit of gas that is offered first.
        max_fee_wei: Most that a unit of gas may ever cost us; a dearer one waits.
        bump_percent: By how much a replacement raises both fees; nodes want 10 at least.
        bump_after_s: How long a sent transaction may stay unmined before it is replaced.
    """

    name: str
    chain_id: int
    coin: str
    finality: Literal["finalized", "depth"]
    depth: int
    block_s: float
    tip_wei: int
    max_fee_wei: int
    bump_percent: int
    bump_after_s: float

    @property
    def is_embedded_kind(self) -> bool:
        """Whether it is a development chain, whose coins are worth nothing."""
        return self.name == EMBEDDED

    def final_block(self, head: int, finalized: int | None = None) -> int:
        """The highest block that counts as final; below zero: none.

        Args:
            head: Number of the latest block.
            finalized: Number of the block that the node tags ``finalized``; None: it named none.
        """
        deep = head - self.depth
        if self.finality == "depth":
            return deep
        return -1 if finalized is None else min(deep, finalized)


# Depths: a tag alone is not believed where a chain broke it before. Chainlink waits 500 blocks on Polygon and 50 on BSC;
# with the tag beside it (Heimdall 2 milestones, BEP-126 votes) a tenth to a third of that is our floor.
CHAINS: Mapping[str, Chain] = {
    chain.name: chain
    for chain in (
        Chain(EMBEDDED, 31337, "ETH", "depth", 2, 1.0, GWEI, 500 * GWEI, 13, 5.0),
        Chain("ethereum", 1, "ETH", "finalized", 2, 12.0, GWEI, 200 * GWEI, 13, 60.0),
        Chain("sepolia", 11155111, "ETH", "finalized", 2, 12.0, GWEI, 500 * GWEI, 13, 60.0),
        Chain("polygon", 137, "POL", "finalized", 50, 2.0, 30 * GWEI, 2_000 * GWEI, 13, 15.0),
        Chain("amoy", 80002, "POL", "finalized", 50, 2.0, 30 * GWEI, 2_000 * GWEI, 13, 15.0),
        Chain("bsc", 56, "BNB", "finalized", 15, 0.75, GWEI // 10, 20 * GWEI, 13, 10.0),
        Chain("bsc-testnet", 97, "tBNB", "finalized", 15, 0.75, GWEI // 10, 50 * GWEI, 13, 10.0),
    )
}


def chain_of(settings: Settings) -> Chain:
    """The chain of ``web3.chain`` with what a person set about it.

    Raises:
        NexusError: category ``invalid`` for a name that nobody knows.
    """
    wanted = settings.web3
    chain = CHAINS.get(wanted.chain)
    if chain is None:
        raise invalid("no such chain", field="web3.chain", value=wanted.chain, remedy=f"one of: {', '.join(CHAINS)}")
    if wanted.finality_depth is not None:
        chain = replace(chain, depth=wanted.finality_depth)
    if wanted.max_fee_gwei is not None:
        ceiling = int(wanted.max_fee_gwei * GWEI)
        chain = replace(chain, max_fee_wei=ceiling, tip_wei=min(chain.tip_wei, ceiling))
    return chain
