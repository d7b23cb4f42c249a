"""The key with which the platform vouches for a token's manifest: Ed25519, made at first use, under the keyring.

It is apart from the keys that send transactions: those hold coins, change often and may live in a service elsewhere,
while a signature here has to be checked for as long as the token lives. The public key stands beside each signature.
Belongs here: the key's file (``keys/manifest.json``, 0600). Does not belong here: what a manifest says.
"""

from __future__ import annotations

import base64
import fcntl
import json
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from nexus.errors import invalid
from nexus.keyring import Keyring
from nexus.keyring_file import write_durably

FILE = Path("keys") / "manifest.json"
_PURPOSE = b"nexus manifest key"


class ManifestKey:
    """The key of one installation.

    Args:
        path: Its file; made when it is not there.
        keyring: What encrypts it.

    Raises:
        NexusError: ``invalid`` for a damaged file; the keyring's own for a ring that cannot open it.
    """

    def __init__(self, path: Path, keyring: Keyring) -> None:
        self._path = path
        self._keyring = keyring
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (path.parent / ".manifest.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                self._write(Ed25519PrivateKey.generate())
        self._key = self._read()

    @property
    def public_key(self) -> str:
        """32 bytes, hexadecimal."""
        return self._key.public_key().public_bytes_raw().hex()

    def sign(self, message: bytes) -> str:
        """64 bytes, hexadecimal; the same message always has the same signature."""
        return self._key.sign(message).hex()

    def rewrap(self) -> int:
        """Encrypt the file anew under the keyring's active key; how many files that were."""
        self._write(self._read())
        return 1

    def _read(self) -> Ed25519PrivateKey:
        try:
            blob = base64.b64decode(json.loads(self._path.read_text())["secret"], validate=True)
        except (ValueError, KeyError, TypeError):
            raise invalid(
                "the manifest key's file is damaged",
                field="manifest_key",
                value=self._path,
                remedy="restore it from a copy; without it older manifests can still be checked, new ones need a new key",
            ) from None
        return Ed25519PrivateKey.from_private_bytes(self._keyring.decrypt(blob, aad=_PURPOSE))

    def _write(self, key: Ed25519PrivateKey) -> None:
        blob = self._keyring.encrypt(key.private_bytes_raw(), aad=_PURPOSE)
        public = key.public_key().public_bytes_raw().hex()
        content = {"version": 1, "public_key": public, "secret": base64.b64encode(blob).decode()}
        write_durably(self._path, json.dumps(content, indent=2))


def is_signed(message: bytes, signature: str, public_key: str) -> bool:
    """Whether a signature is that key's, over exactly this message."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True
