"""How what workflows carry is encrypted: the bytes, without the engine. Adapters are in workflows and in assets.

Belongs here: the purpose that is bound into each blob, and whether there is anything to encrypt with.
Does not belong here: the keyring's own form (nexus.keyring), the engine's payloads (workflows.codec).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nexus.keyring import Keyring
    from nexus.settings import Settings

ENCODING: Final = b"binary/encrypted"
"""What the engine sees of an encrypted payload."""
KEY_ID: Final = "encryption-key-id"
_PURPOSE: Final = b"nexus temporal payload"


class PayloadCipher:
    """Encrypts under the ring's active key, decrypts under whichever it was.

    Args:
        keyring: The keys.
        is_sealing: Whether what is new is encrypted; what was encrypted is always read.
    """

    def __init__(self, keyring: Keyring, *, is_sealing: bool = True) -> None:
        self._keyring = keyring
        self.is_sealing = is_sealing

    @classmethod
    def of(cls, settings: Settings) -> PayloadCipher | None:
        """That of an installation; None where nothing is encrypted and nothing ever was, or no password is set.

        Raises:
            NexusError: as :class:`nexus.keyring.Keyring` does.
        """
        if settings.keys.password is None:
            return None
        from nexus.keyring import FILE, Keyring

        is_sealing = settings.keys.encrypt_payloads
        if not is_sealing and not (settings.home / FILE).exists():
            return None
        return cls(Keyring.open(settings), is_sealing=is_sealing)

    def seal(self, plain: bytes) -> tuple[bytes, bytes]:
        """The blob and the id of its key."""
        blob = self._keyring.encrypt(plain, aad=_PURPOSE)
        return blob, self._keyring.key_id_of(blob).encode()

    def open(self, blob: bytes) -> bytes:
        """What was sealed."""
        return self._keyring.decrypt(blob, aad=_PURPOSE)
