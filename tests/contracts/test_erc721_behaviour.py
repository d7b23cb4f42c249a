"""What every ERC-721 token does: asked of NexusMedia, and of the library's own as a control of the suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.contracts.house import ZERO, At, House, created, for_tests, token

pytestmark = pytest.mark.integration

SAFE = "safeTransferFrom(address,address,uint256)"
TRANSFER = "transferFrom(address,address,uint256)"
TAKING, REFUSING, WRONG = 0, 1, 2
ID = token(1)


@dataclass(frozen=True)
class Collection:
    """A token contract in which ``holder`` has token ``ID`` and nobody anything else."""

    at: At
    holder: str
    other: str
    stranger: str
    mint: Callable[[str, int], object]

    def owner(self) -> str:
        return str(self.at.read("ownerOf(uint256)", ID))


@pytest.fixture(params=["NexusMedia", "PlainMedia"])
def collection(request: pytest.FixtureRequest, house: House) -> Collection:
    def by_minter(to: str, token_id: int) -> object:
        return at.send("mint(address,uint256)", to, token_id, sender=house.minter)

    at = house.media if request.param == "NexusMedia" else created(house.node, for_tests("PlainMedia"))
    by_minter(house.holder, ID)
    return Collection(at, house.holder, house.other, house.stranger, by_minter)


@pytest.mark.parametrize(
    ("interface", "is_there"), [("01ffc9a7", 1), ("80ac58cd", 1), ("5b5e139f", 1), ("ffffffff", 0)]
)
def test_interface__asked__as_the_standard_says(collection: Collection, interface: str, is_there: int) -> None:
    assert collection.at.read("supportsInterface(bytes4)", bytes.fromhex(interface)) == bool(is_there)


def test_mint__of_a_token_that_exists__is_refused(collection: Collection) -> None:
    mint = ("mint(address,uint256)", collection.other, ID)
    minter = collection.at.node.accounts[1]
    assert collection.at.refusal(*mint, sender=minter) == f"ERC721InvalidSender({ZERO})"


def test_mint__to_the_zero_address__is_refused(collection: Collection) -> None:
    minter = collection.at.node.accounts[1]
    said = collection.at.refusal("mint(address,uint256)", ZERO, token(2), sender=minter)
    assert said == f"ERC721InvalidReceiver({ZERO})"


@pytest.mark.parametrize("signature", ["ownerOf(uint256)", "getApproved(uint256)", "tokenURI(uint256)"])
def test_reading__a_token_that_is_not_there__is_refused(collection: Collection, signature: str) -> None:
    assert collection.at.refusal(signature, token(9)).startswith("ERC721NonexistentToken(")


def test_balance__of_the_zero_address__is_refused(collection: Collection) -> None:
    assert collection.at.refusal("balanceOf(address)", ZERO) == f"ERC721InvalidOwner({ZERO})"


@pytest.mark.parametrize("by", ["owner", "approved", "operator"])
@pytest.mark.parametrize("signature", [TRANSFER, SAFE])
def test_transfer__by_who_may__moves_the_token_and_ends_the_approval(
    collection: Collection, by: str, signature: str
) -> None:
    at, sender = collection.at, collection.holder
    if by == "approved":
        at.send("approve(address,uint256)", collection.stranger, ID, sender=collection.holder)
        sender = collection.stranger
    if by == "operator":
        at.send("setApprovalForAll(address,bool)", collection.stranger, True, sender=collection.holder)
        sender = collection.stranger

    receipt = at.send(signature, collection.holder, collection.other, ID, sender=sender)

    (moved,) = at.logs(receipt)
    assert (moved.name, dict(moved.arguments)) == (
        "Transfer",
        {"from": collection.holder, "to": collection.other, "tokenId": ID},
    )
    assert collection.owner() == collection.other
    assert int(at.read("getApproved(uint256)", ID), 16) == 0
    assert [at.read("balanceOf(address)", who) for who in (collection.holder, collection.other)] == [0, 1]


@pytest.mark.parametrize("signature", [TRANSFER, SAFE])
def test_transfer__by_a_stranger__is_refused(collection: Collection, signature: str) -> None:
    said = collection.at.refusal(signature, collection.holder, collection.other, ID, sender=collection.stranger)
    assert said == f"ERC721InsufficientApproval({collection.stranger}, {ID})"


def test_transfer__from_somebody_else__is_refused(collection: Collection) -> None:
    said = collection.at.refusal(TRANSFER, collection.other, collection.stranger, ID, sender=collection.holder)
    assert said == f"ERC721IncorrectOwner({collection.other}, {ID}, {collection.holder})"


def test_transfer__to_the_zero_address__is_refused(collection: Collection) -> None:
    said = collection.at.refusal(TRANSFER, collection.holder, ZERO, ID, sender=collection.holder)
    assert said == f"ERC721InvalidReceiver({ZERO})"


def test_transfer__after_the_operator_is_dismissed__is_refused(collection: Collection) -> None:
    for is_operator in (True, False):
        words = ("setApprovalForAll(address,bool)", collection.stranger, is_operator)
        collection.at.send(*words, sender=collection.holder)
    assert collection.at.refusal(TRANSFER, collection.holder, collection.other, ID, sender=collection.stranger)


@pytest.mark.parametrize(("mood", "expected"), [(REFUSING, "NotThisOne()"), (WRONG, "ERC721InvalidReceiver(")])
def test_safe_transfer__to_a_contract_that_does_not_take_it__is_refused(
    collection: Collection, mood: int, expected: str
) -> None:
    receiver = created(collection.at.node, for_tests("Receiver"), mood)
    words = (SAFE, collection.holder, receiver.address, ID)
    data = collection.at.refusal(*words, sender=collection.holder)
    assert data.startswith(expected) or data == "unknown error " + receiver.artifact.errors.get(expected, "")
    assert collection.owner() == collection.holder


def test_safe_transfer__to_a_contract_that_takes_it__moves_the_token(collection: Collection) -> None:
    receiver = created(collection.at.node, for_tests("Receiver"), TAKING)
    collection.at.send(SAFE, collection.holder, receiver.address, ID, sender=collection.holder)
    assert collection.owner() == receiver.address


def test_approve__by_a_stranger__is_refused(collection: Collection) -> None:
    said = collection.at.refusal("approve(address,uint256)", collection.other, ID, sender=collection.stranger)
    assert said == f"ERC721InvalidApprover({collection.stranger})"


def test_approve_for_all__of_the_zero_address__is_refused(collection: Collection) -> None:
    said = collection.at.refusal("setApprovalForAll(address,bool)", ZERO, True, sender=collection.holder)
    assert said == f"ERC721InvalidOperator({ZERO})"
