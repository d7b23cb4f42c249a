"""Keys of our own, one encrypted file each, under the platform's keyring.

Belongs here: making, reading and re-wrapping those files. Does not belong here: the keyring (nexus.keyring), what is
signed (envelope.py). A file is ``<address>.json`` (0600, in a folder 0700); its ciphertext is bound to the address.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import coincurve

from contracts.client.signers.curve import ORDER, address_of, sign
from contracts.client.signers.envelope import KeySigner
from contracts.client.signers.model import SignerKey
from nexus.errors import Category, NexusError, invalid, not_found

FOLDER = Path("keys") / "signers"
_VERSION = 1


class Sealer(Protocol):
    """What the keyring does for us."""

    def encrypt(self, plain: bytes, *, aad: bytes) -> bytes:
        """Encrypt under the active key."""
        ...

    def decrypt(self, blob: bytes, *, aad: bytes) -> bytes:
        """Decrypt under whichever key it was."""
        ...


class Keystore:
    """A folder of encrypted keys.

    Args:
        folder: Where the files are; made when missing.
        keyring: What encrypts them.
    """

    def __init__(self, folder: Path, keyring: Sealer) -> None:
        self._folder = folder
        self._keyring = keyring
        self._open: dict[str, coincurve.PrivateKey] = {}

    async def make(self, role: str) -> str:
        """A new key; its address."""
        return self.keep(secrets.randbelow(ORDER - 1) + 1, role)

    def keep(self, secret: int, role: str) -> str:
        """Store a key that exists already; the same one again changes nothing.

        Raises:
            NexusError: category ``invalid`` for a number that is no key.
        """
        if not 0 < secret < ORDER:
            raise invalid("this is no secp256k1 key", field="key", value="(hidden)", remedy="give 32 bytes of a key")
        plain = secret.to_bytes(32, "big")
        key = coincurve.PrivateKey(plain)
        address = address_of(key.public_key)
        if not self._path(address).exists():
            self._write(address, role, datetime.now(UTC), plain)
        self._open[address] = key
        return address

    def keep_json(self, document: dict[str, Any], password: str, role: str) -> str:
        """Store a key from a version 3 JSON key file, as wallets export it.

        Raises:
            NexusError: category ``forbidden`` for a wrong password, ``invalid`` for a file of another form.
        """
        from eth_keyfile.keyfile import decode_keyfile_json

        try:
            secret = decode_keyfile_json(document, password.encode())
        except ValueError:
            raise NexusError(
                "the password does not open this key file",
                category=Category.FORBIDDEN,
                field="password",
                remedy="give the password that the file was exported with",
            ) from None
        except (KeyError, TypeError, NotImplementedError, AttributeError):
            raise invalid(
                "this is no version 3 key file",
                field="keystore",
                value=None,
                remedy="export it again from the wallet as JSON",
            ) from None
        return self.keep(int.from_bytes(secret, "big"), role)

    def signer(self, address: str) -> KeySigner:
        """The signer of a key.

        Raises:
            NexusError: category ``not_found`` without such a key; ``invalid`` for a damaged file; the keyring's own
                for a ring that cannot open it.
        """
        address = address.lower()
        if address not in self._open:
            self._open[address] = coincurve.PrivateKey(self._secret(address))
        return KeySigner(address, self)

    async def signatures(self, address: str, digests: Sequence[bytes]) -> list[bytes]:
        """Sign digests under a key (:class:`KeySigner` asks)."""
        key = self._open[address]
        return [sign(key, digest) for digest in digests]

    def rewrap(self) -> int:
        """Encrypt every key anew under the keyring's active key; how many. Safe to repeat after a break."""
        paths = sorted(self._folder.glob("0x*.json"))
        for path in paths:
            found = self._read(path)
            plain = self._secret(found["address"])
            self._write(found["address"], found["role"], datetime.fromisoformat(found["made_at"]), plain)
        return len(paths)

    def _path(self, address: str) -> Path:
        return self._folder / f"{address}.json"

    def _secret(self, address: str) -> bytes:
        path = self._path(address)
        if not path.exists():
            raise not_found(
                "there is no key of this address", field="signer", value=address, remedy="see bin/nexus keys list"
            )
        plain = self._keyring.decrypt(base64.b64decode(self._read(path)["secret"]), aad=_purpose(address))
        if address_of(coincurve.PrivateKey(plain).public_key) != address:
            raise _damaged(path)
        return plain

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            found = json.loads(path.read_text())
            if found["version"] != _VERSION or found["address"] != path.stem:
                raise _damaged(path)
            base64.b64decode(found["secret"], validate=True)
        except (ValueError, KeyError, TypeError):
            raise _damaged(path) from None
        return dict(found)

    def _write(self, address: str, role: str, made_at: datetime, plain: bytes) -> None:
        """Whole or not at all: a key that signs must be on the disk before anybody learns its address."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        secret = base64.b64encode(self._keyring.encrypt(plain, aad=_purpose(address))).decode()
        entry = {
            "version": _VERSION,
            "address": address,
            "role": role,
            "made_at": made_at.isoformat(),
            "secret": secret,
        }
        draft = self._folder / f".{address}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(entry, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path(address))
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    async def list(self) -> list[SignerKey]:
        """All keys, oldest first."""
        found = [self._read(path) for path in sorted(self._folder.glob("0x*.json"))]
        keys = [SignerKey(one["address"], one["role"], datetime.fromisoformat(one["made_at"])) for one in found]
        return sorted(keys, key=lambda key: (key.made_at, key.address))


def _purpose(address: str) -> bytes:
    return b"nexus signer " + address.encode()


def _damaged(path: Path) -> NexusError:
    return invalid(
        "the key file is damaged",
        field="signer",
        value=path.name,
        remedy="restore it from a copy, or rotate the signer",
    )
