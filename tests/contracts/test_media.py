"""NexusMedia: who may mint, what a token is, royalties, rotation, pause; at random too."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.client.contract import role_of
from contracts.client.media import MOST_BPS, Media
from contracts.client.setup import MEDIA
from nexus.errors import Category, NexusError
from tests.contracts.house import ZERO, House, token
from tests.contracts.nodes import AsyncNode

pytestmark = pytest.mark.integration

MINT, BATCH = "mint(address,uint256)", "mintBatch(address,uint256[])"
OWN, ROYALTY = "mintWithRoyalty(address,uint256,uint96)", "royaltyInfo(uint256,uint256)"
GRANT, REVOKE = "grantRole(bytes32,address)", "revokeRole(bytes32,address)"
TRANSFER = "transferFrom(address,address,uint256)"


@pytest.fixture
def media(house: House, rpc: AsyncNode) -> Media:
    """The wrapper."""
    return Media(rpc, house.where[MEDIA])


def test_token_uri__of_metadata__is_the_cid_of_its_raw_block(house: House) -> None:
    from contracts.client.ipfs import cids

    metadata = b'{"id":"content-1","title":"Alien"}'
    token_id = int.from_bytes(hashlib.sha256(metadata).digest(), "big")
    house.media.send(MINT, house.holder, token_id, sender=house.minter)

    uri = house.media.read("tokenURI(uint256)", token_id)

    assert uri == "ipfs://f01551220" + hashlib.sha256(metadata).hexdigest()
    assert cids.token_id(cids.raw_cid(metadata)) == token_id


@pytest.mark.parametrize("token_id", [0, 1, 2**256 - 1])
def test_token_uri__of_the_oddest_digests__has_all_64_digits(house: House, token_id: int) -> None:
    house.media.send(MINT, house.holder, token_id, sender=house.minter)
    assert house.media.read("tokenURI(uint256)", token_id) == f"ipfs://f01551220{token_id:064x}"


@pytest.mark.parametrize("interface", ["80ac58cd", "2a55205a", "49064906", "7965db0b", "5a05180f"])
def test_interfaces__asked__are_there(house: House, interface: str) -> None:
    assert house.media.read("supportsInterface(bytes4)", bytes.fromhex(interface))


@pytest.mark.parametrize("who", ["admin", "holder", "stranger"])
def test_mint__without_the_role__is_refused(house: House, who: str) -> None:
    account = getattr(house, who)
    for signature, what in ((MINT, token(1)), (BATCH, [token(1)])):
        said = house.media.refusal(signature, house.holder, what, sender=account)
        assert said.startswith(f"AccessControlUnauthorizedAccount({account}")


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([], "EmptyBatch()"), ([1, 2, 1], "ERC721InvalidSender("), ([3, 99], "ERC721InvalidSender(")],
    ids=["empty", "one twice", "one minted before"],
)
def test_batch__that_is_wrong__mints_nothing(house: House, numbers: list[int], expected: str) -> None:
    house.mint(house.holder, 99)
    ids = [token(number) for number in numbers]
    assert house.media.refusal(BATCH, house.holder, ids, sender=house.minter).startswith(expected)


def test_batch__of_200__mints_each(house: House) -> None:
    ids = [token(number) for number in range(200)]
    receipt = house.media.send(BATCH, house.holder, ids, sender=house.minter)
    assert [log.arguments["tokenId"] for log in house.media.logs(receipt)] == ids
    assert house.media.read("balanceOf(address)", house.holder) == len(ids)


def test_mint__by_two_minters_of_the_same_title__one_wins(house: House) -> None:
    house.media.send(GRANT, role_of("MINTER_ROLE"), house.other, sender=house.admin)
    house.mint(house.holder, 1)
    said = house.media.refusal(MINT, house.stranger, token(1), sender=house.other)
    assert said == f"ERC721InvalidSender({ZERO})"


@pytest.mark.parametrize("bps", [0, 1, 750, MOST_BPS])
def test_royalty__of_its_own__goes_to_the_default_receiver(house: House, bps: int) -> None:
    house.media.send(OWN, house.holder, token(1), bps, sender=house.minter)
    receiver, amount = house.media.read(ROYALTY, token(1), 10_000)
    assert (receiver, amount) == (house.where["NexusSplitter"].lower(), bps)


@pytest.mark.parametrize("bps", [MOST_BPS + 1, 2**96 - 1])
def test_royalty__over_100_per_cent__is_refused(house: House, bps: int) -> None:
    said = house.media.refusal(OWN, house.holder, token(1), bps, sender=house.minter)
    assert said.startswith("ERC2981InvalidTokenRoyalty(")
    said = house.media.refusal("setDefaultRoyalty(address,uint96)", house.other, bps, sender=house.admin)
    assert said == f"ERC2981InvalidDefaultRoyalty({bps}, {MOST_BPS})"


def test_royalty__to_the_zero_address__is_refused(house: House) -> None:
    said = house.media.refusal("setDefaultRoyalty(address,uint96)", ZERO, 500, sender=house.admin)
    assert said == f"ERC2981InvalidDefaultRoyaltyReceiver({ZERO})"


@settings(max_examples=40)
@given(price=st.integers(0, 2**200), bps=st.integers(0, MOST_BPS))
def test_royalty__of_any_sale__is_rounded_down_and_never_more_than_the_sale(
    deployed: House, price: int, bps: int
) -> None:
    with deployed.node.scratch():
        change = ("setDefaultRoyalty(address,uint96)", deployed.other, bps)
        deployed.media.send(*change, sender=deployed.admin)
        _, amount = deployed.media.read(ROYALTY, token(1), price)
    assert amount == price * bps // MOST_BPS <= price


def test_royalty__of_a_token_that_is_not_there__cannot_be_set(house: House) -> None:
    words = ("setTokenRoyalty(uint256,address,uint96)", token(1), house.other, 100)
    assert house.media.refusal(*words, sender=house.admin).startswith("ERC721NonexistentToken(")
    house.mint(house.holder, 1)
    house.media.send(*words, sender=house.admin)
    assert house.media.read(ROYALTY, token(1), 10_000) == (house.other, 100)


@pytest.mark.parametrize("role", ["DEFAULT_ADMIN_ROLE", "ROTATOR_ROLE", "PAUSER_ROLE"])
def test_rotator__granting_anything_but_the_minter__is_refused(house: House, role: str) -> None:
    house.media.send(GRANT, role_of("ROTATOR_ROLE"), house.other, sender=house.admin)
    said = house.media.refusal(GRANT, role_of(role), house.stranger, sender=house.other)
    assert said.startswith("AccessControlUnauthorizedAccount(")


def test_rotator__rotating__lets_the_new_one_mint_and_not_the_old_one(house: House) -> None:
    minter = role_of("MINTER_ROLE")
    house.media.send(GRANT, role_of("ROTATOR_ROLE"), house.other, sender=house.admin)
    house.media.send(GRANT, minter, house.stranger, sender=house.other)
    house.media.send(REVOKE, minter, house.minter, sender=house.other)
    assert house.media.read("getRoleMembers(bytes32)", minter) == (house.stranger,)
    assert house.media.refusal(MINT, house.holder, token(1), sender=house.minter)
    house.media.send(MINT, house.holder, token(1), sender=house.stranger)


def test_minter__that_grants_a_role__is_refused(house: House) -> None:
    assert house.media.refusal(GRANT, role_of("MINTER_ROLE"), house.stranger, sender=house.minter)


def test_role__of_the_zero_address__is_refused(house: House) -> None:
    said = house.media.refusal(GRANT, role_of("MINTER_ROLE"), ZERO, sender=house.admin)
    assert said == "ZeroAddress()"


def test_minters__one_too_many__is_refused_so_that_a_pause_fits_a_block(house: House) -> None:
    for number in range(2, 65):
        account = "0x" + number.to_bytes(20, "big").hex()
        house.media.send(GRANT, role_of("MINTER_ROLE"), account, sender=house.admin)
    said = house.media.refusal(GRANT, role_of("MINTER_ROLE"), house.stranger, sender=house.admin)
    assert said == "TooManyMinters(64)"
    assert house.media.send("pause()", sender=house.admin).gas_used < 1_500_000


def test_pause__while_it_lasts__stops_transfers_minting_and_grants(house: House) -> None:
    house.mint(house.holder, 1)
    house.media.send("pause()", sender=house.admin)
    assert house.media.refusal(TRANSFER, house.holder, house.other, token(1), sender=house.holder) == "IsPaused()"
    assert house.media.refusal(GRANT, role_of("MINTER_ROLE"), house.minter, sender=house.admin) == "IsPaused()"
    assert house.media.refusal(MINT, house.holder, token(2), sender=house.minter).startswith("AccessControl")
    assert house.media.read("getRoleMemberCount(bytes32)", role_of("MINTER_ROLE")) == 0


def test_unpause__afterwards__lets_transfers_go_on_and_no_old_minter_in(house: House) -> None:
    house.mint(house.holder, 1)
    house.media.send("pause()", sender=house.admin)
    house.media.send("unpause()", sender=house.admin)
    house.media.send(TRANSFER, house.holder, house.other, token(1), sender=house.holder)
    assert house.media.refusal(MINT, house.holder, token(2), sender=house.minter).startswith("AccessControl")
    house.media.send(GRANT, role_of("MINTER_ROLE"), house.minter, sender=house.admin)
    house.mint(house.holder, 2)


@pytest.mark.parametrize(("signature", "expected"), [("pause()", "AccessControl"), ("unpause()", "AccessControl")])
def test_pause__by_a_stranger__is_refused(house: House, signature: str, expected: str) -> None:
    assert house.media.refusal(signature, sender=house.stranger).startswith(expected)


def test_pause__twice__is_refused(house: House) -> None:
    assert house.media.refusal("unpause()", sender=house.admin) == "IsNotPaused()"
    house.media.send("pause()", sender=house.admin)
    assert house.media.refusal("pause()", sender=house.admin) == "IsPaused()"


def test_announcements__by_the_admin__are_the_standards_events(house: House) -> None:
    house.mint(house.holder, 1)
    one = house.media.send("announceMetadata(uint256)", token(1), sender=house.admin)
    every = house.media.send("announceAllMetadata()", sender=house.admin)
    uri = house.media.send("setContractURI(string)", "ipfs://new", sender=house.admin)
    names = [log.name for receipt in (one, every, uri) for log in house.media.logs(receipt)]
    assert names == ["MetadataUpdate", "BatchMetadataUpdate", "ContractURIUpdated"]
    assert house.media.read("contractURI()") == "ipfs://new"


@pytest.mark.parametrize(
    "call",
    [
        ("setDefaultRoyalty(address,uint96)", "0x" + "1" * 40, 1),
        ("setTokenRoyalty(uint256,address,uint96)", token(1), "0x" + "1" * 40, 1),
        ("setContractURI(string)", "ipfs://mine"),
        ("announceMetadata(uint256)", token(1)),
        ("announceAllMetadata()",),
    ],
    ids=lambda call: call[0].partition("(")[0],
)
@pytest.mark.parametrize("who", ["minter", "holder", "stranger"])
def test_administration__by_anybody_else__is_refused(house: House, call: tuple[object, ...], who: str) -> None:
    house.mint(house.holder, 1)
    said = house.media.refusal(str(call[0]), *call[1:], sender=getattr(house, who))
    assert said.startswith("AccessControlUnauthorizedAccount(")


# The wrapper.


async def test_wrapper__before_and_after_a_mint__tells_owner_uri_and_royalty(house: House, media: Media) -> None:
    assert await media.owner_of(token(1)) is None
    assert await media.token_uri(token(1)) is None
    house.node.send(media.address, media.mint(house.holder, token(1), 750), sender=house.minter)
    house.node.send(media.address, media.mint_batch(house.holder, [token(2), token(3)]), sender=house.minter)
    assert (await media.owner_of(token(1)) or "").lower() == house.holder
    assert await media.token_uri(token(2)) == f"ipfs://f01551220{token(2):064x}"
    assert (await media.royalty_info(token(1), 10_000)).amount_wei == 750
    assert await media.default_royalty() == (house.where["NexusSplitter"], 500)
    assert await media.balance_of(house.holder) == 3
    assert [account.lower() for account in await media.minters()] == [house.minter]
    assert await media.is_minter(house.minter)
    assert not await media.is_paused()
    minted = await media.logs("Transfer")
    assert [log.arguments["tokenId"] for log in minted] == [token(1), token(2), token(3)]


async def test_wrapper__simulating_a_second_mint__names_the_contracts_error(house: House, media: Media) -> None:
    house.mint(house.holder, 1)
    with pytest.raises(NexusError) as caught:
        await media.simulate(media.mint(house.other, token(1)), sender=house.minter)
    assert caught.value.category is Category.CONFLICT
    assert caught.value.evidence["reason"] == f"ERC721InvalidSender({ZERO})"
    assert caught.value.evidence["selector"] == "0x73c6ac6e"


async def test_wrapper__at_an_address_without_a_contract__says_so(house: House, rpc: AsyncNode) -> None:
    with pytest.raises(NexusError) as caught:
        await Media(rpc, house.stranger).owner_of(token(1))
    assert caught.value.category is Category.NOT_FOUND


async def test_wrapper__asked_about_the_past__answers_for_that_block(house: House, media: Media) -> None:
    before = int(house.node.call("eth_blockNumber"), 16)
    house.mint(house.holder, 1)
    assert await media.owner_of(token(1), block=before) is None
    assert await media.owner_of(token(1)) is not None
