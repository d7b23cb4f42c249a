"""secp256k1 as Ethereum uses it: addresses, signatures with a low s, and the recovery of v.

Belongs here: arithmetic on keys and signatures. Does not belong here: what is signed (envelope.py), where keys live.
"""

from __future__ import annotations

import coincurve
from Crypto.Hash import keccak as _keccak

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
DIGEST_BYTES = 32


def keccak(data: bytes) -> bytes:
    """Keccak-256."""
    return _keccak.new(data=data, digest_bits=256).digest()


def address_of(public: coincurve.PublicKey) -> str:
    """The address of a public key, lower case."""
    return "0x" + keccak(public.format(compressed=False)[1:])[-20:].hex()


def public_of(address_bytes: bytes) -> coincurve.PublicKey:
    """A public key from its bytes, compressed or not."""
    return coincurve.PublicKey(address_bytes)


def sign(key: coincurve.PrivateKey, digest: bytes) -> bytes:
    """r, s and the recovery id (0 or 1), 65 bytes; s is low."""
    return key.sign_recoverable(digest, hasher=None)


def recovered(digest: bytes, r: int, s: int, address: str) -> bytes | None:
    """Make a signature of an address out of r and s alone, as key services give them; s may be high.

    Returns:
        r, low s and the recovery id; None when the address never signed this.
    """
    if not (0 < r < ORDER and 0 < s < ORDER):
        return None
    low = (r.to_bytes(32, "big")) + min(s, ORDER - s).to_bytes(32, "big")
    for recovery in (0, 1):
        signature = low + bytes([recovery])
        try:
            public = coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
        except ValueError:
            continue
        if address_of(public) == address:
            return signature
    return None
