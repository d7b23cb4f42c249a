"""NexusMedia: the tokens.

Belongs here: its reads and the bytes of its transactions. Does not belong here: CIDs (ipfs/), sending (transactions/).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.client.artifacts import checksummed
from contracts.client.contract import Block, Governed, role_of
from nexus.errors import Category, NexusError, invalid

MOST_BPS = 10_000
# What a batch may hold so that it fits the smallest block of our chains with room for others.
MOST_IN_BATCH = 200
_UNMINTED = "ERC721NonexistentToken("
_ZERO = "0x" + "0" * 40
_LARGEST = 2**256 - 1


@dataclass(frozen=True, slots=True)
class Royalty:
    """Who gets how much of a sale."""

    receiver: str
    amount_wei: int


class Media(Governed):
    """NexusMedia at an address."""

    NAME = "NexusMedia"

    async def owner_of(self, token_id: int, *, block: Block = "latest") -> str | None:
        """The token's owner; None when it is not minted."""
        try:
            owner = await self.read("ownerOf(uint256)", token_id, block=block)
        except NexusError as error:
            if str(error.evidence.get("reason", "")).startswith(_UNMINTED):
                return None
            raise
        return checksummed(owner)

    async def balance_of(self, owner: str, *, block: Block = "latest") -> int:
        """How many tokens somebody owns."""
        return int(await self.read("balanceOf(address)", owner, block=block))

    async def token_uri(self, token_id: int) -> str | None:
        """``ipfs://`` and the metadata's CID in base16; None when the token is not minted."""
        try:
            return str(await self.read("tokenURI(uint256)", token_id))
        except NexusError as error:
            if str(error.evidence.get("reason", "")).startswith(_UNMINTED):
                return None
            raise

    async def contract_uri(self) -> str:
        """URI of the collection's own metadata."""
        return str(await self.read("contractURI()"))

    async def default_royalty(self) -> tuple[str, int]:
        """Receiver and basis points of tokens without a royalty of their own."""
        # The royalty of a token that nobody can mint by accident: no metadata has this digest.
        royalty = await self.royalty_info(_LARGEST, MOST_BPS)
        return royalty.receiver, royalty.amount_wei

    async def royalty_info(self, token_id: int, price: int) -> Royalty:
        """ERC-2981: who gets how much of a sale at a price."""
        receiver, amount = await self.read("royaltyInfo(uint256,uint256)", token_id, price)
        return Royalty(checksummed(receiver), int(amount))

    async def is_minter(self, account: str, *, block: Block = "latest") -> bool:
        """Whether an account may mint."""
        return await self.has_role("MINTER_ROLE", account, block=block)

    async def minters(self, *, block: Block = "latest") -> list[str]:
        """Everybody who may mint."""
        found = await self.read("getRoleMembers(bytes32)", role_of("MINTER_ROLE"), block=block)
        return [checksummed(account) for account in found]

    async def is_paused(self) -> bool:
        """Whether transfers and minting are stopped."""
        return bool(await self.read("paused()"))

    def mint(self, to: str, token_id: int, royalty_bps: int | None = None) -> bytes:
        """Calldata that mints one token.

        Args:
            to: Its owner.
            token_id: sha-256 digest of its metadata.
            royalty_bps: A royalty of its own in basis points; None: the default.
        """
        owner, token = _owner(to), _token(token_id)
        if royalty_bps is None:
            return self.artifact.call("mint(address,uint256)", owner, token)
        return self.artifact.call("mintWithRoyalty(address,uint256,uint96)", owner, token, checked_bps(royalty_bps))

    def mint_batch(self, to: str, token_ids: Sequence[int]) -> bytes:
        """Calldata that mints all of these tokens, or none."""
        ids = [_token(token_id) for token_id in token_ids]
        if not ids or len(ids) > MOST_IN_BATCH or len(set(ids)) != len(ids):
            raise invalid(
                "a batch has to hold different tokens, and not too many",
                field="token_ids",
                value=f"{len(ids)}, {len(set(ids))} of them different",
                remedy=f"1 to {MOST_IN_BATCH} of them, each once",
            )
        return self.artifact.call("mintBatch(address,uint256[])", _owner(to), ids)

    def grant_minter(self, account: str) -> bytes:
        """Calldata that lets an account mint."""
        return self.grant("MINTER_ROLE", account)

    def revoke_minter(self, account: str) -> bytes:
        """Calldata that stops an account from minting."""
        return self.revoke("MINTER_ROLE", account)

    def set_default_royalty(self, receiver: str, bps: int) -> bytes:
        """Calldata that sets the royalty of tokens without one of their own."""
        return self.artifact.call("setDefaultRoyalty(address,uint96)", _owner(receiver, "receiver"), checked_bps(bps))

    def set_token_royalty(self, token_id: int, receiver: str, bps: int) -> bytes:
        """Calldata that sets one token's royalty."""
        return self.artifact.call(
            "setTokenRoyalty(uint256,address,uint96)", token_id, _owner(receiver, "receiver"), checked_bps(bps)
        )

    def pause(self) -> bytes:
        """Calldata that stops transfers and takes the role of every minter."""
        return self.artifact.call("pause()")

    def unpause(self) -> bytes:
        """Calldata that lets transfers go on; minters have to be granted anew."""
        return self.artifact.call("unpause()")

    @property
    def transfer_topic(self) -> str:
        """First topic of ``Transfer``."""
        return self.artifact.topic("Transfer")


def checked_bps(bps: int) -> int:
    """A royalty, refused above 100 %.

    Raises:
        NexusError: category ``invalid``.
    """
    if not 0 <= bps <= MOST_BPS:
        raise NexusError(
            "a royalty is 0 to 100 % of a sale",
            category=Category.INVALID,
            field="royalty_bps",
            value=bps,
            remedy=f"basis points, 0 to {MOST_BPS}; 500 are 5 %",
        )
    return bps


def _owner(address: str, field: str = "to") -> str:
    checked = checksummed(address)
    if checked == _ZERO:
        raise invalid(
            "nothing goes to the zero address", field=field, value=address, remedy="name an address that somebody holds"
        )
    return checked


def _token(token_id: int) -> int:
    if not 0 <= token_id <= _LARGEST:
        raise invalid(
            "a token id is a sha-256 digest",
            field="token_id",
            value=token_id,
            remedy="an integer of 256 bits: contracts.client.ipfs.cids.token_id",
        )
    return token_id
