"""Rules of chains."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.client.chains import CHAINS, GWEI, chain_of
from nexus.settings import Settings, Web3Settings

pytestmark = pytest.mark.unit
NUMBERS = {
    "anvil": 31337, "ethereum": 1, "sepolia": 11155111, "polygon": 137, "amoy": 80002, "bsc": 56, "bsc-testnet": 97,
}  # fmt: skip


def test_chains__of_the_settings__are_all_here_with_their_numbers() -> None:
    assert set(get_args(Web3Settings.model_fields["chain"].annotation)) == set(CHAINS)
    assert {name: chain.chain_id for name, chain in CHAINS.items()} == NUMBERS


@pytest.mark.parametrize("chain", CHAINS.values(), ids=lambda chain: chain.name)
def test_chain__each__can_be_paid_for_and_replaced(chain: object) -> None:
    assert 0 < chain.tip_wei < chain.max_fee_wei  # type: ignore[attr-defined]
    assert chain.bump_percent >= 12  # type: ignore[attr-defined]
    assert chain.depth >= 1  # type: ignore[attr-defined]


@given(st.integers(0, 10**9), st.integers(0, 10**9) | st.none(), st.sampled_from(sorted(CHAINS)))
def test_final_block__any_head__is_deep_enough_and_tagged_where_the_chain_tags(
    head: int, finalized: int | None, name: str
) -> None:
    chain = CHAINS[name]
    final = chain.final_block(head, finalized)
    assert final <= head - chain.depth or final < 0
    if chain.finality == "finalized":
        assert final <= (-1 if finalized is None else finalized)


def test_chain_of__settings__change_depth_and_ceiling() -> None:
    web3 = Web3Settings(chain="bsc", finality_depth=99, max_fee_gwei=0.05)
    chain = chain_of(Settings(web3=web3))
    assert (chain.depth, chain.max_fee_wei, chain.chain_id) == (99, GWEI // 20, 56)
    assert chain.tip_wei <= chain.max_fee_wei
