"""Whether titles can be minted here, and on which chain.

Belongs here: the one answer that routes and the page ask for. Does not belong here: talking to a chain.
"""

from __future__ import annotations

from typing import Any, Final

from nexus.errors import Category, NexusError
from nexus.settings import Settings

REMEDY: Final = "start it with bin/nexus up --with web3"


class Web3:
    """The settings of minting, as the API needs them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def is_enabled(self) -> bool:
        """Whether a chain and an IPFS node belong to this platform."""
        return self._settings.web3.enabled

    def require(self) -> None:
        """Refuse what needs a chain.

        Raises:
            NexusError: ``conflict`` where there is none.
        """
        if not self.is_enabled:
            raise NexusError(
                "this platform runs without a chain, so nothing is minted here",
                category=Category.CONFLICT,
                field="web3.enabled",
                value=False,
                remedy=REMEDY,
            )

    def chain_id(self) -> int:
        """The number of the chain (EIP-155).

        Raises:
            NexusError: ``conflict`` where there is none.
        """
        self.require()
        from contracts.client.chains import chain_of

        return chain_of(self._settings).chain_id

    def described(self) -> dict[str, Any]:
        """What the page needs to know before it offers anything."""
        from contracts.client.chains import chain_of

        chain = chain_of(self._settings) if self.is_enabled else None
        return {
            "enabled": self.is_enabled,
            "chain": None if chain is None else chain.name,
            "chain_id": None if chain is None else chain.chain_id,
            "coin": None if chain is None else chain.coin,
            "royalty_bps": self._settings.web3.royalty_bps,
            "remedy": None if self.is_enabled else REMEDY,
        }
