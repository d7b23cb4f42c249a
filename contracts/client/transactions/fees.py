"""What a unit of gas may cost: the first offer, and each higher one.

Belongs here: arithmetic on fees (EIP-1559), all in wei, all rounding up. Does not belong here: when to raise (sending.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from contracts.client.chains import Chain

_LEAST_BUMP_PERMILLE = 125  # geth wants 10 % of both; a little more survives its rounding and other nodes' rules


@dataclass(frozen=True, slots=True)
class Fees:
    """What an attempt offers. ``is_at_ceiling``: the chain asks for more than we may pay."""

    max_fee_wei: int
    tip_wei: int
    is_at_ceiling: bool = False


def offered(chain: Chain, base_fee_wei: int) -> Fees:
    """The first offer: twice the base fee and the tip, so that six full blocks do not price it out."""
    wanted = 2 * base_fee_wei + chain.tip_wei
    is_short = base_fee_wei + chain.tip_wei > chain.max_fee_wei
    fee = min(wanted, chain.max_fee_wei)
    return Fees(fee, min(chain.tip_wei, fee), is_short)


def raised(chain: Chain, before: Fees, base_fee_wei: int) -> Fees | None:
    """The next offer, 12.5 % or more above what was offered before in both parts; None: that is over the ceiling."""
    permille = max(_LEAST_BUMP_PERMILLE, 10 * chain.bump_percent)
    fresh = offered(chain, base_fee_wei)
    tip = max(_up(before.tip_wei, permille), fresh.tip_wei)
    fee = max(_up(before.max_fee_wei, permille), fresh.max_fee_wei, tip)
    return None if fee > chain.max_fee_wei else Fees(fee, tip, fresh.is_at_ceiling)


def _up(wei: int, permille: int) -> int:
    """So many thousandths more, rounded up, and more in any case."""
    return max(wei + 1, -(-wei * (1000 + permille) // 1000))
