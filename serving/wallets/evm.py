"""Addresses and signatures of Ethereum accounts, with two small C libraries instead of a whole web3.

Belongs here: Keccak-256, EIP-55 case, EIP-191 recovery with its pitfalls (high s, odd v) refused.
Does not belong here: what is signed (siwe), contracts that sign for a wallet (EIP-1271: see docs/decisions/0020).
"""

from __future__ import annotations

import re
from typing import Final

from nexus.errors import invalid

ADDRESS: Final = r"^0x[0-9a-fA-F]{40}$"
SIGNATURE: Final = r"^0x[0-9a-fA-F]{130}$"
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_SIGNATURE: Final = re.compile(r"0x[0-9a-fA-F]{130}")
_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_ZERO: Final = "0x" + "0" * 40
_COMPONENT: Final = 32


def keccak(data: bytes) -> bytes:
    """Keccak-256, as Ethereum uses it (not the later SHA3-256)."""
    from Crypto.Hash import keccak as library

    return library.new(data=data, digest_bits=256).digest()


def checksum(address: str) -> str:
    """The address with the case of EIP-55."""
    plain = address.lower().removeprefix("0x")
    digest = keccak(plain.encode()).hex()
    return "0x" + "".join(
        letter.upper() if int(nibble, 16) >= 8 else letter for letter, nibble in zip(plain, digest, strict=False)
    )


def parse_address(text: str, *, field: str) -> str:
    """An address as a person wrote it, in lower case, as we keep it.

    All lower or all upper case carries no checksum and is taken; mixed case has to be EIP-55.

    Raises:
        NexusError: ``invalid`` for anything else, and for the zero address.
    """
    if not _ADDRESS.fullmatch(text):
        raise invalid(
            f"{field} is no address",
            field=field,
            value=text,
            remedy="send 0x and 40 hexadecimal digits, as the wallet shows them",
        )
    digits = text[2:]
    if digits not in {digits.lower(), digits.upper()} and checksum(text) != text:
        raise invalid(
            f"{field} has a wrong checksum (EIP-55), so a digit or a letter's case is wrong",
            field=field,
            value=text,
            remedy="copy the address from the wallet again",
        )
    address = text.lower()
    if address == _ZERO:
        raise invalid(f"{field} is the zero address, which nobody owns", field=field, value=text, remedy="send yours")
    return address


def recover(message: str, signature: str) -> str:
    """Who signed this text by ``personal_sign`` (EIP-191, version 0x45), in lower case.

    Raises:
        NexusError: ``invalid`` for a signature that is malformed, malleable (high s), or of no key.
    """
    from coincurve import PublicKey

    if not _SIGNATURE.fullmatch(signature):
        raise _no_signature("it is not 0x and 130 hexadecimal digits", signature)
    raw = bytes.fromhex(signature[2:])
    r, s = int.from_bytes(raw[:_COMPONENT]), int.from_bytes(raw[_COMPONENT:-1])
    parity = raw[-1] - 27 if raw[-1] in {27, 28} else raw[-1]  # some hardware wallets send 0 and 1
    if parity not in {0, 1}:
        raise _no_signature("its last byte is none of 0, 1, 27, 28", signature)
    if not 0 < r < _ORDER or not 0 < s < _ORDER:
        raise _no_signature("its numbers are out of range", signature)
    if s > _ORDER // 2:
        raise _no_signature("its s is in the upper half (EIP-2): anyone could have made it from another", signature)
    text = message.encode()
    digest = keccak(b"\x19Ethereum Signed Message:\n" + str(len(text)).encode() + text)
    try:
        key = PublicKey.from_signature_and_message(raw[:-1] + bytes([parity]), digest, hasher=None)
    except ValueError:  # what the library raises where no key fits
        raise _no_signature("no key can have made it", signature) from None
    return "0x" + keccak(key.format(compressed=False)[1:])[-20:].hex()


def _no_signature(reason: str, signature: str) -> Exception:
    return invalid(
        f"that is no signature: {reason}",
        field="signature",
        value=signature,
        remedy="sign the message with personal_sign and send what the wallet returns",
    )
