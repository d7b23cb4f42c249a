"""Arithmetic of fees, words of nodes, forms of reverts: no node needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.client.chains import CHAINS
from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.transactions import answers, reverts
from contracts.client.transactions.answers import Answer
from contracts.client.transactions.desk import Patience
from contracts.client.transactions.fees import Fees, offered, raised
from contracts.client.transactions.model import Intent

pytestmark = pytest.mark.unit
WEI = st.integers(0, 10**15)
FREE = replace(CHAINS["anvil"], max_fee_wei=10**30)


@given(fee=WEI, tip=WEI, base=WEI, percent=st.integers(10, 60))
def test_raised__any_offer__both_parts_grow_by_an_eighth_and_more(fee: int, tip: int, base: int, percent: int) -> None:
    before = Fees(max(fee, tip), tip)
    after = raised(replace(FREE, bump_percent=percent), before, base)
    assert after is not None
    for new, old in ((after.max_fee_wei, before.max_fee_wei), (after.tip_wei, before.tip_wei)):
        assert new > old
        assert new * 1000 >= old * max(1125, 1000 + 10 * percent)
        assert new * 10 >= old * 11  # geth's own rule
    assert after.tip_wei <= after.max_fee_wei


@given(base=WEI, ceiling=st.integers(1, 10**12), fee=WEI)
def test_fees__any_base_fee__never_go_over_the_ceiling(base: int, ceiling: int, fee: int) -> None:
    chain = replace(CHAINS["anvil"], max_fee_wei=ceiling)
    first = offered(chain, base)
    assert first.tip_wei <= first.max_fee_wei <= ceiling
    assert first.is_at_ceiling == (base + chain.tip_wei > ceiling)
    again = raised(chain, Fees(min(fee, ceiling), 0), base)
    assert again is None or again.max_fee_wei <= ceiling


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        ("0x" + "ab" * 32, Answer.TAKEN),
        ("already known", Answer.TAKEN),
        ("transaction already imported", Answer.TAKEN),
        ("known transaction: 0xab", Answer.TAKEN),
        ("AlreadyKnown", Answer.TAKEN),
        ("nonce too low: next nonce 5, tx nonce 3", Answer.NONCE_USED),
        ("OldNonce", Answer.NONCE_USED),
        ("replacement transaction underpriced", Answer.OUTBID),
        ("transaction underpriced: gas tip cap 1, minimum needed 30", Answer.TOO_CHEAP),
        ("max fee per gas less than block base fee", Answer.TOO_CHEAP),
        ("insufficient funds for gas * price + value", Answer.NO_FUNDS),
        ("txpool is full", Answer.LATER),
        ("exceeds block gas limit", Answer.REFUSED),
        (Indeterminate("no answer within 10 s", kind="timeout"), Answer.UNKNOWN),
        (None, Answer.UNKNOWN),
        ({"hash": 1}, Answer.UNKNOWN),
    ],
)
def test_answer__what_nodes_say__is_understood(outcome: Any, answer: Answer) -> None:
    is_words = isinstance(outcome, str) and not outcome.startswith("0x")
    assert answers.read(Answered(-32000, outcome) if is_words else outcome) is answer


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (Answered(3, "execution reverted", "0x73c6ac6e" + "00" * 32), "ERC721InvalidSender("),
        (Answered(-32000, "revert", {"data": "0x73c6ac6e" + "00" * 32}), "ERC721InvalidSender("),
        (Answered(3, "execution reverted", "0xdeadbeef"), "unknown error 0xdeadbeef"),
        (Answered(-32000, "execution reverted"), "reverted without a reason"),
    ],
)
def test_revert__in_any_form__is_named(error: Answered, name: str) -> None:
    assert reverts.is_revert(error)
    assert reverts.reverted(error).name.startswith(name)


@pytest.mark.parametrize("words", ["insufficient funds for transfer", "the method does not exist", "header not found"])
def test_revert__the_node_refuses__is_none(words: str) -> None:
    assert not reverts.is_revert(Answered(-32000, words))


@given(data=st.binary(max_size=64), value=st.integers(0, 2**256 - 1), other=st.binary(max_size=64))
def test_payload_hash__two_calls__equal_only_when_the_calls_are(data: bytes, value: int, other: bytes) -> None:
    to = "0x" + "1f" * 20
    one = Intent("k", to, data, value).checked()
    assert one.payload_hash() == Intent("another", to.upper().replace("X", "x"), data, value).checked().payload_hash()
    assert (one.payload_hash() == Intent("k", to, other, value).payload_hash()) == (data == other)


@pytest.mark.parametrize("name", sorted(CHAINS))
def test_patience__each_chain__looks_more_than_once_a_block_and_never_hammers(name: str) -> None:
    patience = Patience.of(CHAINS[name])
    assert 0.1 <= patience.poll_s <= max(0.5, CHAINS[name].block_s)
    assert patience.again_s < patience.remind_s
