"""Our bytes are eth-account's bytes."""

from __future__ import annotations

from typing import Any

import coincurve
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.client.signers.curve import ORDER, address_of, keccak, recovered, sign
from contracts.client.signers.envelope import assembled, digest_of

pytestmark = pytest.mark.unit
SECRETS = st.integers(1, ORDER - 1)
WEI = st.integers(0, 2**96)
TRANSACTIONS = st.fixed_dictionaries(
    {
        "chainId": st.integers(1, 2**53),
        "nonce": st.integers(0, 2**63),
        "maxPriorityFeePerGas": WEI,
        "maxFeePerGas": WEI,
        "gas": st.integers(21_000, 2**40),
        "to": st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()),
        "value": st.integers(0, 2**256 - 1),
        "data": st.binary(max_size=400),
    }
)


@given(secret=SECRETS, tx=TRANSACTIONS)
def test_transaction__any_fields__same_bytes_as_eth_account(secret: int, tx: dict[str, Any]) -> None:
    from eth_account import Account
    from eth_utils import to_checksum_address

    key = coincurve.PrivateKey(secret.to_bytes(32, "big"))
    mine = assembled(tx, sign(key, digest_of(tx)))
    theirs = Account.sign_transaction(tx | {"type": 2, "to": to_checksum_address(tx["to"])}, key.secret)
    assert mine.raw == bytes(theirs.raw_transaction)
    assert mine.hash == "0x" + theirs.hash.hex()
    assert str(Account.recover_transaction(mine.raw)).lower() == address_of(key.public_key)


@given(secret=SECRETS, digest=st.binary(min_size=32, max_size=32), is_high=st.booleans())
def test_recovered__r_and_s_of_a_key_service__give_v_and_a_low_s(secret: int, digest: bytes, is_high: bool) -> None:
    key = coincurve.PrivateKey(secret.to_bytes(32, "big"))
    whole = sign(key, digest)
    r, s = int.from_bytes(whole[:32], "big"), int.from_bytes(whole[32:64], "big")
    assert s <= ORDER // 2
    assert recovered(digest, r, ORDER - s if is_high else s, address_of(key.public_key)) == whole


@given(secret=SECRETS, digest=st.binary(min_size=32, max_size=32))
def test_recovered__another_keys_signature__is_refused(secret: int, digest: bytes) -> None:
    key = coincurve.PrivateKey(secret.to_bytes(32, "big"))
    whole = sign(key, digest)
    r, s = int.from_bytes(whole[:32], "big"), int.from_bytes(whole[32:64], "big")
    assert recovered(digest, r, s, "0x" + "11" * 20) is None
    assert recovered(keccak(digest), r, s, address_of(key.public_key)) is None


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (ORDER, 1), (1, ORDER), (ORDER + 1, 1)])
def test_recovered__numbers_out_of_range__are_refused(r: int, s: int) -> None:
    assert recovered(bytes(32), r, s, "0x" + "11" * 20) is None
