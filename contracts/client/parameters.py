"""NexusParameters: named numbers of the platform that its members decide.

Belongs here: its reads and the bytes of its transactions. Does not belong here: what a number means to the platform.
"""

from __future__ import annotations

from contracts.client.contract import Block, Contract
from nexus.errors import invalid

_KEY_BYTES = 32
_LARGEST = 2**256 - 1


class Parameters(Contract):
    """NexusParameters at an address."""

    NAME = "NexusParameters"

    async def value(self, key: str, *, block: Block = "latest") -> int | None:
        """A number; None when the members set none."""
        is_set, value = await self.read("get(bytes32)", key_bytes(key), block=block)
        return int(value) if is_set else None

    async def values(self, *, block: Block = "latest") -> dict[str, int]:
        """Every number, by name."""
        keys = [key.rstrip(b"\0").decode("ascii", "replace") for key in await self.read("keys()", block=block)]
        found = {key: await self.value(key, block=block) for key in sorted(keys)}
        return {key: value for key, value in found.items() if value is not None}

    def set(self, key: str, value: int) -> bytes:
        """Calldata that sets a number; only the timelock may send it, so it is what a proposal carries."""
        if not 0 <= value <= _LARGEST:
            raise invalid("a parameter is a natural number", field=key, value=value, remedy="0 or more, 256 bits")
        return self.artifact.call("set(bytes32,uint256)", key_bytes(key), value)

    def remove(self, key: str) -> bytes:
        """Calldata that forgets a number."""
        return self.artifact.call("remove(bytes32)", key_bytes(key))


def key_bytes(key: str) -> bytes:
    """A name as the contract keeps it.

    Raises:
        NexusError: category ``invalid``.
    """
    if not key or not key.isascii() or not key.isprintable() or len(key) > _KEY_BYTES:
        raise invalid(
            "a parameter's name is short", field="key", value=key, remedy=f"1 to {_KEY_BYTES} ASCII characters"
        )
    return key.encode().ljust(_KEY_BYTES, b"\0")
