"""Proofs: the encoding is the library's, the smallest change is noticed, blooms never deny what is there."""

from __future__ import annotations

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st

from contracts.client.logs import proofs
from contracts.client.logs.values import Inconsistent, header, logs
from tests.contracts.logs.fake import OTHERS, OURS, FakeChain

pytestmark = pytest.mark.unit

TREE = st.recursive(st.binary(max_size=80), lambda below: st.lists(below, max_size=5), max_leaves=20)


@given(value=TREE)
def test_encoded__anything__is_what_the_library_writes(value: object) -> None:
    assert proofs.encoded(value) == rlp.encode(value)


def test_check_header__a_changed_bloom__is_noticed() -> None:
    chain = FakeChain()
    chain.mine([OURS])
    said = chain.blocks[1]["head"]
    proofs.check_header(header(said))
    with pytest.raises(Inconsistent, match="does not hash"):
        proofs.check_header(header(said | {"logsBloom": "0x" + "00" * 256}))


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 127, 128, 129, 300])
def test_check_receipts__one_left_out_or_changed__is_noticed(count: int) -> None:
    chain = FakeChain()
    chain.mine(*[[OURS, OTHERS][: 1 + number % 2] for number in range(count)])
    block, receipts = header(chain.blocks[1]["head"]), chain.blocks[1]["receipts"]
    proofs.check_receipts(block, receipts)
    for changed in (receipts[:-1], [*receipts[:-1], *[one | {"status": "0x0"} for one in receipts[-1:]]]):
        if count:
            with pytest.raises(Inconsistent):
                proofs.check_receipts(block, changed)


@given(items=st.lists(st.binary(min_size=20, max_size=32), max_size=30), other=st.binary(min_size=20, max_size=20))
def test_bloom__what_was_put_in__may_always_be_there(items: list[bytes], other: bytes) -> None:
    bloom = bytes(256)
    assert not proofs.may_have(bloom, other)
    for item in items:
        bloom = proofs.with_item(bloom, item)
    assert all(proofs.may_have(bloom, item) for item in items)
    assert proofs.is_telling(bloom)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=70) | st.just("0x1"),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["topics", "number", "hash"]), below),
)


@given(said=JSON)
def test_values__any_json__is_read_or_refused(said: object) -> None:
    for read in (header, logs):
        try:
            read(said)
        except Inconsistent:
            continue
        assert said == []
