"""Addresses and signatures."""

from __future__ import annotations

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given
from hypothesis import strategies as st

from nexus.errors import NexusError
from serving.wallets import evm

pytestmark = pytest.mark.unit

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
# Of EIP-55's own text.
CHECKSUMMED = [
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0xde709f2102306220921060314715629080e2fb77",
]
KEYS = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32))


def signed(key: bytes, text: str) -> tuple[str, str]:
    """(address, signature) by the reference library."""
    account = Account.from_key(key)
    return account.address, "0x" + account.sign_message(encode_defunct(text=text)).signature.hex()


@pytest.mark.parametrize("address", CHECKSUMMED)
def test_checksum__examples_of_eip55__same_case(address: str) -> None:
    assert evm.checksum(address.lower()) == address
    assert evm.parse_address(address, field="to") == address.lower()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0x" + "0" * 40, "zero address"),
        (CHECKSUMMED[0][:-1] + "D", "checksum"),
        (CHECKSUMMED[0][:-1], "no address"),
        (CHECKSUMMED[0] + "0", "no address"),
        (CHECKSUMMED[0][2:], "no address"),
        (CHECKSUMMED[0] + "\n", "no address"),
        ("vitalik.eth", "no address"),
        ("", "no address"),
    ],
)
def test_address__wrong__says_what_and_what_to_do(text: str, said: str) -> None:
    with pytest.raises(NexusError, match=said) as caught:
        evm.parse_address(text, field="to")
    assert (caught.value.field, caught.value.status) == ("to", 422)
    assert caught.value.remedy


@pytest.mark.parametrize("write", [str.lower, lambda text: "0x" + text[2:].upper()])
def test_address__without_case__is_taken(write) -> None:
    assert evm.parse_address(write(CHECKSUMMED[0]), field="to") == CHECKSUMMED[0].lower()


@given(KEYS, st.text(st.characters(codec="utf-8"), max_size=200))
def test_recover__any_key_and_text__is_who_signed(key: bytes, text: str) -> None:
    address, signature = signed(key, text)
    assert evm.recover(text, signature) == address.lower()
    by_hardware = signature[:-2] + f"{int(signature[-2:], 16) - 27:02x}"
    assert evm.recover(text, by_hardware) == address.lower()
    assert evm.recover(text + ".", signature) != address.lower()


def test_recover__the_other_half__is_refused() -> None:
    address, signature = signed(bytes([7] * 32), "hello")
    raw = bytes.fromhex(signature[2:])
    s = ORDER - int.from_bytes(raw[32:64])
    twin = "0x" + (raw[:32] + s.to_bytes(32) + bytes([55 - raw[64]])).hex()
    assert Account.recover_message(encode_defunct(text="hello"), signature=twin) == address  # the chain would take it
    with pytest.raises(NexusError, match="upper half"):
        evm.recover("hello", twin)


@given(st.binary(min_size=65, max_size=65))
def test_recover__any_bytes__is_an_address_or_a_refusal(raw: bytes) -> None:
    found = refused = None
    try:
        found = evm.recover("hello", "0x" + raw.hex())
    except NexusError as error:
        refused = error.field
    assert refused == "signature" or evm.parse_address(str(found), field="x") == found


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "0x",
        "0x" + "0" * 130,
        "0x" + "f" * 130,
        "0x" + "1" * 128,
        "1" * 132,
        "0x" + "1" * 128 + "1d",
        "0x" + "1" * 131,
    ],
)
def test_recover__no_signature__is_refused(signature: str) -> None:
    with pytest.raises(NexusError, match="no signature"):
        evm.recover("hello", signature)
