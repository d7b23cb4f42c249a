"""NexusSplitter: exact to the unit, whoever the payees are and whatever the token does."""

from __future__ import annotations

import pytest

from contracts.client.artifacts import load
from contracts.client.splitter import Splitter
from contracts.devnode import DevNode, Refused
from nexus.errors import NexusError
from tests.contracts.house import ZERO, At, House, created, for_tests
from tests.contracts.nodes import AsyncNode

pytestmark = pytest.mark.integration

RELEASE, TOKEN = "release(address)", "releaseToken(address,address)"
DUE, TOKEN_DUE = "releasable(address)", "releasableToken(address,address)"
MINT = "mint(address,uint256)"


def splitter(chain: DevNode, *payees: tuple[str, int]) -> At:
    """A splitter of these payees."""
    return created(chain, load("NexusSplitter"), [payee for payee, _ in payees], [shares for _, shares in payees])


@pytest.fixture
def two(chain: DevNode) -> At:
    """One share to the first account, two to the second."""
    return splitter(chain, (chain.accounts[1], 1), (chain.accounts[2], 2))


@pytest.mark.parametrize(
    ("payees", "shares", "expected"),
    [
        ([], [], "NoPayees()"),
        (["0x" + "1" * 40], [], "DifferentLengths(1, 0)"),
        ([ZERO], [1], "ZeroAddress()"),
        (["0x" + "1" * 40], [0], "ZeroShares("),
        (["0x" + "1" * 40, "0x" + "1" * 40], [1, 1], "DuplicatePayee("),
        (["0x" + "1" * 40, "0x" + "2" * 40], [2**255, 2**255], "Panic"),
    ],
)
def test_creation__of_a_split_that_is_none__is_refused(
    chain: DevNode, payees: list[str], shares: list[int], expected: str
) -> None:
    from contracts.client.artifacts import decode_error

    data = load("NexusSplitter").creation(payees, shares)
    with pytest.raises(Refused) as caught:
        chain.send(None, data)
    assert decode_error(caught.value.data).startswith(expected)


def test_native__of_10__is_split_3_and_6_and_1_waits(chain: DevNode, two: At) -> None:
    one, other = chain.accounts[1:3]
    chain.send(two.address, value=10)
    assert [two.read(DUE, payee) for payee in (one, other)] == [3, 6]
    two.send(RELEASE, one, sender=chain.accounts[5])
    two.send(RELEASE, other, sender=chain.accounts[5])
    assert chain.balance(two.address) == 1
    chain.send(two.address, value=2)
    assert [two.read(DUE, payee) for payee in (one, other)] == [1, 2]
    for payee in (one, other):
        two.send(RELEASE, payee, sender=chain.accounts[5])
    assert (chain.balance(two.address), two.read("totalReleased()")) == (0, 12)


def test_native__that_nobody_sent__is_split_too(chain: DevNode, two: At) -> None:
    chain.call("anvil_setBalance", [two.address, hex(9)])
    assert [two.read(DUE, payee) for payee in chain.accounts[1:3]] == [3, 6]


@pytest.mark.parametrize("signature", [RELEASE, DUE])
def test_release__to_somebody_else__is_refused(chain: DevNode, two: At, signature: str) -> None:
    chain.send(two.address, value=10)
    assert two.refusal(signature, chain.accounts[4]) == f"NotAPayee({chain.accounts[4]})"


def test_release__of_nothing__is_refused(chain: DevNode, two: At) -> None:
    assert two.refusal(RELEASE, chain.accounts[1]) == f"NothingDue({chain.accounts[1]})"


@pytest.mark.parametrize("name", ["RefusingPayee", "GreedyPayee", "ReenteringPayee"])
def test_payee__that_cannot_be_paid__keeps_nobody_from_being_paid(chain: DevNode, name: str) -> None:
    bad, good = created(chain, for_tests(name)), chain.accounts[2]
    split = splitter(chain, (bad.address, 1), (good, 1))
    chain.send(split.address, value=10)
    before = chain.balance(good)

    with pytest.raises(Refused):
        chain.send(split.address, split.artifact.call(RELEASE, bad.address), sender=chain.accounts[5], gas=1_000_000)
    split.send(RELEASE, good, sender=chain.accounts[5])

    assert chain.balance(good) == before + 5
    assert (chain.balance(bad.address), split.read(DUE, bad.address)) == (0, 5)


def test_payee__that_re_enters_and_hides_it__gets_its_due_and_no_more(chain: DevNode) -> None:
    thief, good = created(chain, for_tests("StealthyPayee")), chain.accounts[2]
    split = splitter(chain, (thief.address, 1), (good, 1))
    chain.send(split.address, value=10)
    split.send(RELEASE, thief.address, sender=good)
    assert (chain.balance(thief.address), chain.balance(split.address)) == (5, 5)
    assert thief.read("refusals()") == 1


def test_payee__that_re_enters__is_stopped_by_the_guard(chain: DevNode) -> None:
    thief = created(chain, for_tests("ReenteringPayee"))
    split = splitter(chain, (thief.address, 1), (chain.accounts[2], 1))
    chain.send(split.address, value=10)
    assert split.refusal(RELEASE, thief.address) == "ReentrancyGuardReentrantCall()"


def test_payee__that_stops_re_entering__is_paid(chain: DevNode) -> None:
    payee = created(chain, for_tests("ReenteringPayee"))
    split = splitter(chain, (payee.address, 1), (chain.accounts[2], 1))
    chain.send(split.address, value=10)
    payee.send("calm()", sender=chain.accounts[0])
    split.send(RELEASE, payee.address, sender=chain.accounts[0])
    assert chain.balance(payee.address) == 5


@pytest.mark.parametrize(("name", "got"), [("PlainToken", [333, 666]), ("SilentToken", [333, 666])])
def test_token__of_either_old_or_new_kind__is_split(chain: DevNode, two: At, name: str, got: list[int]) -> None:
    coin = created(chain, for_tests(name))
    coin.send(MINT, two.address, 1000, sender=chain.accounts[0])
    for payee in chain.accounts[1:3]:
        two.send(TOKEN, coin.address, payee, sender=chain.accounts[5])
    assert [coin.read("balanceOf(address)", payee) for payee in chain.accounts[1:3]] == got
    assert coin.read("balanceOf(address)", two.address) == 1
    assert two.read("totalTokenReleased(address)", coin.address) == 999


def test_token__that_takes_a_fee__is_split_by_what_arrived(chain: DevNode, two: At) -> None:
    coin, giver = created(chain, for_tests("FeeToken")), chain.accounts[5]
    coin.send(MINT, giver, 1000, sender=giver)
    coin.send("transfer(address,uint256)", two.address, 1000, sender=giver)
    assert [two.read(TOKEN_DUE, coin.address, payee) for payee in chain.accounts[1:3]] == [330, 660]
    for payee in chain.accounts[1:3]:
        two.send(TOKEN, coin.address, payee, sender=giver)
    assert [coin.read("balanceOf(address)", payee) for payee in chain.accounts[1:3]] == [327, 654]
    assert coin.read("balanceOf(address)", two.address) == 0


@pytest.mark.parametrize(
    ("name", "reason"),
    [("RefusingToken", "SafeERC20FailedOperation("), ("ReenteringToken", "ReentrancyGuardReentrantCall()")],
)
def test_token__that_misbehaves__harms_neither_another_token_nor_the_coin(
    chain: DevNode, two: At, name: str, reason: str
) -> None:
    bad, good, payee = created(chain, for_tests(name)), created(chain, for_tests("PlainToken")), chain.accounts[1]
    for coin in (bad, good):
        coin.send(MINT, two.address, 300, sender=payee)
    chain.send(two.address, value=300)
    assert two.refusal(TOKEN, bad.address, payee).startswith(reason)
    assert two.read(TOKEN_DUE, bad.address, payee) == 100
    two.send(TOKEN, good.address, payee, sender=payee)
    two.send(RELEASE, payee, sender=payee)
    assert good.read("balanceOf(address)", payee) == 100


def test_token__whose_balance_shrank__pays_what_is_there(chain: DevNode, two: At) -> None:
    coin, (one, other) = created(chain, for_tests("ShrinkingToken")), chain.accounts[1:3]
    coin.send(MINT, two.address, 900, sender=one)
    two.send(TOKEN, coin.address, other, sender=one)
    coin.send("shrink(address,uint256)", two.address, 200, sender=one)
    assert two.read(TOKEN_DUE, coin.address, other) == 0
    assert two.read(TOKEN_DUE, coin.address, one) == 100
    two.send(TOKEN, coin.address, one, sender=one)
    assert coin.read("balanceOf(address)", two.address) == 0


def test_token__of_the_largest_supply__is_split_without_overflow(chain: DevNode) -> None:
    split = splitter(chain, (chain.accounts[1], 2**127), (chain.accounts[2], 2**127))
    coin = created(chain, for_tests("SilentToken"))
    coin.send(MINT, split.address, 2**256 - 1, sender=chain.accounts[0])
    assert split.read(TOKEN_DUE, coin.address, chain.accounts[1]) == (2**256 - 1) // 2


async def test_royalty__of_a_sale__reaches_the_payees_of_the_receiver(house: House, rpc: AsyncNode) -> None:
    token_id = house.mint(house.holder, 1)
    price = 10**18 + 1
    receiver, amount = house.media.read("royaltyInfo(uint256,uint256)", token_id, price)
    house.node.send(receiver, value=amount, sender=house.stranger)
    wrapper, before = Splitter(rpc, receiver), house.node.balance(house.treasury)

    payees = await wrapper.payees()
    dues = [await wrapper.releasable(payee.address) for payee in payees]
    for payee in payees:
        house.node.send(receiver, wrapper.release(payee.address), sender=house.stranger)

    assert amount == price * 500 // 10_000
    assert [payee.address.lower() for payee in payees] == [house.treasury, house.where["TimelockController"].lower()]
    assert dues == [amount * 80 // 100, amount * 20 // 100]
    assert house.node.balance(house.treasury) - before == dues[0]
    assert house.node.balance(house.where["TimelockController"]) == dues[1]
    assert await wrapper.total_released() == sum(dues)
    assert [await wrapper.released(payee.address) for payee in payees] == dues


async def test_wrapper__of_a_token__reads_its_dues(chain: DevNode, two: At, rpc: AsyncNode) -> None:
    coin, payee = created(chain, for_tests("PlainToken")), chain.accounts[1]
    coin.send(MINT, two.address, 30, sender=payee)
    wrapper = Splitter(rpc, two.address)
    assert await wrapper.releasable(payee, coin.address) == 10
    chain.send(two.address, wrapper.release(payee, coin.address), sender=payee)
    assert (await wrapper.released(payee, coin.address), await wrapper.total_released(coin.address)) == (10, 10)
    with pytest.raises(NexusError, match="NothingDue"):
        await wrapper.simulate(wrapper.release(payee, coin.address), sender=payee)
