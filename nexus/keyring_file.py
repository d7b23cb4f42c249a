"""The file of the keyring: keys wrapped under a password, states that nobody else can change, one writer at a time.

``keys/keyring.json`` (0600, in a folder 0700) holds each key under AES-256-GCM, wrapped by a master key made from the
password: scrypt for a password that a person chose, HKDF for one that the runtime made (40 hexadecimal digits of
chance need no stretching). A MAC under the same master covers states and order. A new version is on the disk, whole,
before anybody can encrypt with it. Does not belong here: encryption of anything else (nexus.keyring).
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nexus.errors import Category, NexusError

KeyState = Literal["made", "active", "retired", "destroyed"]
_RANDOM = re.compile(r"[0-9a-f]{40,}")
_SCRYPT = {"n": 2**15, "r": 8, "p": 1}
_MEMORY = 64 * 1024 * 1024


class Record(BaseModel):
    """One key; ``wrapped`` is gone when it was destroyed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: KeyState
    made_at: datetime
    wrapped: str | None


class Ring(BaseModel):
    """What the file says."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    kdf: Literal["hkdf", "scrypt"] = "hkdf"
    salt: str = ""
    generation: int = 0
    keys: dict[str, Record] = Field(default_factory=dict)
    mac: str = ""

    def active(self) -> str:
        """The id of the key that encrypts."""
        return next(key_id for key_id, record in self.keys.items() if record.state == "active")


class RingFile:
    """Reads and replaces the file; knows the password."""

    def __init__(self, path: Path, password: str) -> None:
        self.path = path
        self._password = password
        self._masters: dict[tuple[str, str], bytes] = {}
        self._origin = ("hkdf" if _RANDOM.fullmatch(password) else "scrypt", secrets.token_hex(16))

    def stamp(self) -> tuple[int, ...] | None:
        """What differs whenever the file was replaced; None when it is gone."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def ensure(self, first: Callable[[], Mapping[str, Record]]) -> None:
        """Make the file with its first key, unless it is there."""
        if self.path.exists():
            self._origin = _origin(self._load())
            return
        with self._alone():
            if not self.path.exists():
                kdf, salt = self._origin
                self._write(Ring.model_validate({"kdf": kdf, "salt": salt, "keys": dict(first())}))
            self._origin = _origin(self._load())

    def read(self) -> Ring:
        """The ring, checked.

        Raises:
            NexusError: ``forbidden`` for a wrong password, ``invalid`` for a changed file, ``unavailable`` for none.
        """
        ring = self._load()
        self._origin = _origin(ring)
        if not hmac.compare_digest(self._mac(ring), ring.mac):
            raise self._refused(ring)
        return ring

    @contextmanager
    def changing(self) -> Iterator[Ring]:
        """The ring, to be changed by one at a time; written when the block ends without an error."""
        with self._alone():
            ring = self.read()
            before = ring.model_dump_json()
            yield ring
            if ring.model_dump_json() != before:
                ring.generation += 1
                self._write(ring)

    def change_password(self, password: str) -> None:
        """Wrap every key anew."""
        with self._alone():
            ring = self.read()
            plain = {name: self.unwrap(name, record.wrapped) for name, record in ring.keys.items() if record.wrapped}
            self._password, self._masters = password, {}
            self._origin = ("hkdf" if _RANDOM.fullmatch(password) else "scrypt", secrets.token_hex(16))
            keys = {
                name: record.model_copy(update={"wrapped": self.wrap(name, plain[name]) if name in plain else None})
                for name, record in ring.keys.items()
            }
            kdf, salt = self._origin
            self._write(
                Ring.model_validate({"kdf": kdf, "salt": salt, "keys": keys, "generation": ring.generation + 1})
            )

    def wrap(self, key_id: str, key: bytes) -> str:
        """A key as it may lie in the file."""
        nonce = secrets.token_bytes(12)
        sealed = AESGCM(self._master("wrap")).encrypt(nonce, key, key_id.encode())
        return base64.b64encode(nonce + sealed).decode()

    def unwrap(self, key_id: str, wrapped: str) -> bytes:
        """The key itself."""
        sealed = base64.b64decode(wrapped)
        try:
            return AESGCM(self._master("wrap")).decrypt(sealed[:12], sealed[12:], key_id.encode())
        except InvalidTag:
            raise self._broken("one of its keys was changed") from None

    def _load(self) -> Ring:
        try:
            return Ring.model_validate_json(self.path.read_bytes())
        except OSError as error:
            raise NexusError(
                f"the keyring cannot be read: {error.strerror}",
                category=Category.UNAVAILABLE,
                field="keyring",
                value=self.path,
                remedy="restore keys/keyring.json from a copy: without it nothing that was encrypted can be read",
            ) from None
        except ValidationError:
            raise self._broken("it is not in the form of a keyring") from None

    def _write(self, ring: Ring) -> None:
        ring.mac = self._mac(ring)
        write_durably(self.path, ring.model_dump_json(indent=2))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.path.parent / ".keyring.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _mac(self, ring: Ring) -> str:
        said = json.dumps(ring.model_dump(mode="json", exclude={"mac"}), separators=(",", ":")).encode()
        return hmac.new(self._master("mac"), said, hashlib.sha256).hexdigest()

    def _master(self, use: Literal["wrap", "mac"]) -> bytes:
        if self._origin not in self._masters:
            self._masters[self._origin] = _derive(self._password, *self._origin)
        return HKDF(SHA256(), 32, salt=None, info=f"nexus keyring {use}".encode()).derive(self._masters[self._origin])

    def _refused(self, ring: Ring) -> NexusError:
        """A wrong password opens no key; a right one opens them, and then it is the file that was changed."""
        for key_id, record in ring.keys.items():
            if record.wrapped is not None:
                try:
                    self.unwrap(key_id, record.wrapped)
                except NexusError:
                    break
                return self._broken("its states were changed by somebody else")
        return NexusError(
            "the password does not open the keyring",
            category=Category.FORBIDDEN,
            field="keys.password",
            remedy="set NEXUS_KEYS__PASSWORD to the password that it was made with",
            path=str(self.path),
        )

    def _broken(self, reason: str) -> NexusError:
        return NexusError(
            f"the keyring is broken: {reason}", field="keyring", value=self.path, remedy="restore it from a copy"
        )


def write_durably(path: Path, text: str) -> None:
    """Replace a file that only its owner reads: the old or the new one, whole, on the disk when this returns."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _origin(ring: Ring) -> tuple[str, str]:
    return ring.kdf, ring.salt


def _derive(password: str, kdf: str, salt: str) -> bytes:
    secret, grain = password.encode(), bytes.fromhex(salt)
    if kdf == "hkdf":
        return HKDF(SHA256(), 32, salt=grain, info=b"nexus keyring master").derive(secret)
    return hashlib.scrypt(secret, salt=grain, maxmem=_MEMORY, dklen=32, **_SCRYPT)
