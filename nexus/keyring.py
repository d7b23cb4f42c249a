"""The keys that encrypt what this installation stores: key files of signers, what workflows carry, stored secrets.

A ring has one active key, which encrypts, and older ones, which only decrypt. Every blob begins with the id of its
key, so that a change of keys never makes anything unreadable. Processes share the ring through one file: they look at
its stamp at each use, and read it again when it changed or when a blob names a key that they do not know.

Form of a blob: ``NK1``, one byte with the length of the key id, the key id, 12 random bytes, AES-256-GCM ciphertext
and tag. The header and the caller's ``aad`` (what the blob is for) are authenticated. A key takes 2^32 blobs.
Belongs here: the ring and its life. Does not belong here: the file (nexus.keyring_file), who encrypts what, and the
re-wrapping of what was encrypted (workflows.rotate_keys).
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nexus.errors import Category, NexusError, invalid, not_found
from nexus.keyring_file import KeyState, Record, Ring, RingFile
from nexus.settings import Settings

FILE = Path("keys") / "keyring.json"
_MAGIC = b"NK1"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What anybody may know about a key."""

    id: str
    state: KeyState
    made_at: datetime


class Keyring:
    """The keys of one installation. Safe to share between threads and between processes.

    Args:
        path: The file; made, with a first active key, when it is not there.
        password: What wraps the keys in it.

    Raises:
        NexusError: ``forbidden`` for a wrong password, ``invalid`` for a file that was changed by somebody else.
    """

    def __init__(self, path: Path, password: str) -> None:
        self._file = RingFile(path, password)
        self._lock = threading.Lock()
        self._stamp: tuple[int, ...] | None = None
        self._ring = Ring()
        self._open: dict[str, AESGCM] = {}
        self._file.ensure(self._first)
        self._read()

    @classmethod
    def open(cls, settings: Settings) -> Keyring:
        """The ring of an installation, made at its first use.

        Raises:
            NexusError: ``invalid`` when no password is set; otherwise as the class does.
        """
        password = settings.keys.password
        if password is None or not password.get_secret_value():
            raise invalid(
                "the keyring has no password",
                field="keys.password",
                value=None,
                remedy="run bin/nexus up (it makes one), or set NEXUS_KEYS__PASSWORD to a secret of your own",
            )
        return cls(settings.home / FILE, password.get_secret_value())

    def encrypt(self, plain: bytes, *, aad: bytes) -> bytes:
        """A blob that only this ring, and only for this purpose, opens again; under the active key."""
        key_id, cipher = self._active()
        header = _header(key_id)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return header + nonce + cipher.encrypt(nonce, plain, header + aad)

    def decrypt(self, blob: bytes, *, aad: bytes) -> bytes:
        """What was encrypted for this purpose.

        Raises:
            NexusError: ``not_found`` for a key that this ring lacks or that was destroyed; ``invalid`` for a blob that
                was changed, or was made for another purpose.
        """
        key_id = self.key_id_of(blob)
        header = _header(key_id)
        rest = blob[len(header) :]
        try:
            return self._cipher(key_id).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], header + aad)
        except (InvalidTag, ValueError):
            raise _unreadable() from None

    @staticmethod
    def key_id_of(blob: bytes) -> str:
        """Which key a blob needs.

        Raises:
            NexusError: ``invalid`` when it is no blob of a keyring.
        """
        begin = len(_MAGIC) + 1
        if blob[: len(_MAGIC)] != _MAGIC or len(blob) < begin:
            raise _unreadable()
        end = begin + blob[len(_MAGIC)]
        name = blob[begin:end]
        if len(blob) < end + _NONCE_BYTES + _TAG_BYTES or not name or not name.isalnum():
            raise _unreadable()
        return name.decode("ascii")

    def make(self) -> str:
        """A new key, not used before :meth:`activate`; its id."""
        key_id = secrets.token_hex(6)
        with self._file.changing() as ring:
            ring.keys[key_id] = self._record("made", key_id)
        return key_id

    def activate(self, key_id: str) -> None:
        """Encrypt with this key from now on; the one that was active only decrypts any more. Twice is once.

        Raises:
            NexusError: ``not_found``; ``conflict`` for a key that was destroyed.
        """
        with self._file.changing() as ring:
            chosen = _existing(ring, key_id)
            for other, record in ring.keys.items():
                if record.state == "active" and other != key_id:
                    ring.keys[other] = record.model_copy(update={"state": "retired"})
            ring.keys[key_id] = chosen.model_copy(update={"state": "active"})

    def retire(self, key_id: str) -> None:
        """Let this key only decrypt. Twice is once.

        Raises:
            NexusError: ``not_found``; ``conflict`` for the active key, or for one that was destroyed.
        """
        with self._file.changing() as ring:
            record = _existing(ring, key_id)
            if record.state == "active":
                raise _conflict("the active key cannot be retired", key_id, "activate another one first")
            ring.keys[key_id] = record.model_copy(update={"state": "retired"})

    def destroy(self, key_id: str) -> None:
        """Forget this key: what was encrypted under it and not re-wrapped is lost for ever. Twice is once.

        Raises:
            NexusError: ``not_found``; ``conflict`` for a key that is not retired.
        """
        with self._file.changing() as ring:
            record = ring.keys.get(key_id)
            if record is None:
                raise _missing(key_id)
            if record.state not in {"retired", "destroyed"}:
                raise _conflict("only a retired key can be destroyed", key_id, "retire it first")
            ring.keys[key_id] = record.model_copy(update={"state": "destroyed", "wrapped": None})

    def list(self) -> list[KeyInfo]:
        """Every key that there ever was, oldest first."""
        with self._lock:
            self._refresh()
            return [KeyInfo(key_id, record.state, record.made_at) for key_id, record in self._ring.keys.items()]

    def active_id(self) -> str:
        """The key that encrypts now."""
        return self._active()[0]

    def change_password(self, password: str) -> None:
        """Wrap the keys under another password; whoever opens the ring afterwards needs that one."""
        self._file.change_password(password)

    def _active(self) -> tuple[str, AESGCM]:
        with self._lock:
            self._refresh()
            key_id = self._ring.active()
            return key_id, self._open[key_id]

    def _cipher(self, key_id: str) -> AESGCM:
        with self._lock:
            if key_id not in self._open:
                self._read()
            else:
                self._refresh()
            cipher = self._open.get(key_id)
        if cipher is None:
            raise _missing(key_id)
        return cipher

    def _refresh(self) -> None:
        if self._file.stamp() != self._stamp:
            self._read()

    def _read(self) -> None:
        stamp = self._file.stamp()
        ring = self._file.read()
        if ring.generation < self._ring.generation:
            raise NexusError(
                "the keyring on disk is older than the one in use",
                category=Category.CONFLICT,
                field="keyring",
                value=self._file.path,
                remedy="put the newer file back; or restart the platform if the older one is meant",
            )
        self._open = {
            key_id: self._open.get(key_id) or AESGCM(self._file.unwrap(key_id, record.wrapped))
            for key_id, record in ring.keys.items()
            if record.wrapped is not None
        }
        self._ring, self._stamp = ring, stamp

    def _first(self) -> Mapping[str, Record]:
        key_id = secrets.token_hex(6)
        return {key_id: self._record("active", key_id)}

    def _record(self, state: KeyState, key_id: str) -> Record:
        wrapped = self._file.wrap(key_id, secrets.token_bytes(_KEY_BYTES))
        return Record(state=state, made_at=datetime.now(UTC), wrapped=wrapped)


def _header(key_id: str) -> bytes:
    return _MAGIC + bytes([len(key_id)]) + key_id.encode("ascii")


def _existing(ring: Ring, key_id: str) -> Record:
    record = ring.keys.get(key_id)
    if record is None:
        raise _missing(key_id)
    if record.state == "destroyed":
        raise _conflict("the key was destroyed", key_id, "make another one")
    return record


def _missing(key_id: str) -> NexusError:
    return not_found(
        "the keyring has no such key", field="key_id", value=key_id, remedy="see bin/nexus keys list; restore a copy"
    )


def _conflict(message: str, key_id: str, remedy: str) -> NexusError:
    return NexusError(message, category=Category.CONFLICT, field="key_id", value=key_id, remedy=remedy)


def _unreadable() -> NexusError:
    return invalid(
        "this cannot be decrypted: it was changed, or was made for another purpose",
        field="blob",
        value=None,
        remedy="restore it from a copy",
    )
