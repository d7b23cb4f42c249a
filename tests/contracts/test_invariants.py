"""What holds whatever is done in whatever order: NexusMedia and NexusSplitter against models of them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from contracts.client.artifacts import load
from contracts.client.contract import role_of
from contracts.client.splitter import due
from contracts.devnode import DevNode, Refused
from tests.contracts.house import At, House, created, for_tests, token
from tests.marks import IS_EXHAUSTIVE

pytestmark = pytest.mark.integration

RUNS = settings(
    max_examples=60 if IS_EXHAUSTIVE else 12, stateful_step_count=40 if IS_EXHAUSTIVE else 25, print_blob=True
)
MINTER = role_of("MINTER_ROLE")
NUMBERS, WHO = st.integers(0, 7), st.integers(0, 3)


class MediaMachine(RuleBasedStateMachine):
    """Mint, transfer, rotate and pause, in any order."""

    def __init__(self, house: House) -> None:
        super().__init__()
        self.house = house
        self.scratch = self.house.node.scratch()
        self.scratch.__enter__()
        self.accounts = [self.house.minter, self.house.holder, self.house.other, self.house.stranger]
        self.owners: dict[int, str] = {}
        self.minters = {self.house.minter}
        self.is_paused = False

    def teardown(self) -> None:
        self.scratch.__exit__(None, None, None)

    def attempt(self, *call: object, sender: str, is_right: bool) -> None:
        """The contract takes a call when the model does."""
        try:
            self.house.media.send(str(call[0]), *call[1:], sender=sender)
            is_done = True
        except Refused:
            is_done = False
        assert is_done == is_right, call

    @rule(by=WHO, to=WHO, number=NUMBERS)
    def mint(self, by: int, to: int, number: int) -> None:
        sender, owner = self.accounts[by], self.accounts[to]
        is_right = sender in self.minters and number not in self.owners
        self.attempt("mint(address,uint256)", owner, token(number), sender=sender, is_right=is_right)
        if is_right:
            self.owners[number] = owner

    @rule(to=WHO, numbers=st.lists(NUMBERS, max_size=4))
    def mint_batch(self, to: int, numbers: list[int]) -> None:
        sender, owner = self.accounts[0], self.accounts[to]
        is_new = not set(numbers) & set(self.owners) and len(set(numbers)) == len(numbers)
        is_right = sender in self.minters and is_new and bool(numbers)
        ids = [token(number) for number in numbers]
        self.attempt("mintBatch(address,uint256[])", owner, ids, sender=sender, is_right=is_right)
        if is_right:
            self.owners |= dict.fromkeys(numbers, owner)

    @precondition(lambda self: self.owners)
    @rule(by=WHO, to=WHO, number=NUMBERS)
    def transfer(self, by: int, to: int, number: int) -> None:
        sender, owner = self.accounts[by], self.accounts[to]
        is_right = self.owners.get(number) == sender and not self.is_paused
        call = ("transferFrom(address,address,uint256)", sender, owner, token(number))
        self.attempt(*call, sender=sender, is_right=is_right)
        if is_right:
            self.owners[number] = owner

    @rule(who=WHO, is_granted=st.booleans())
    def rotate(self, who: int, is_granted: bool) -> None:
        account = self.accounts[who]
        verb = "grantRole(bytes32,address)" if is_granted else "revokeRole(bytes32,address)"
        is_right = not (is_granted and self.is_paused)
        self.attempt(verb, MINTER, account, sender=self.house.admin, is_right=is_right)
        if is_right:
            self.minters = self.minters | {account} if is_granted else self.minters - {account}

    @rule(is_paused=st.booleans())
    def pause(self, is_paused: bool) -> None:
        call = "pause()" if is_paused else "unpause()"
        self.attempt(call, sender=self.house.admin, is_right=is_paused != self.is_paused)
        if is_paused and not self.is_paused:
            self.minters = set()
        self.is_paused = is_paused

    @invariant()
    def owners_are_the_models(self) -> None:
        for account in self.accounts:
            owned = sum(owner == account for owner in self.owners.values())
            assert self.house.media.read("balanceOf(address)", account) == owned
        for number, owner in self.owners.items():
            assert self.house.media.read("ownerOf(uint256)", token(number)) == owner

    @invariant()
    def minters_are_the_models(self) -> None:
        assert set(self.house.media.read("getRoleMembers(bytes32)", MINTER)) == self.minters


class SplitterMachine(RuleBasedStateMachine):
    """Coins and tokens come in and are asked for, in any order, with a payee that re-enters."""

    def __init__(self, node: DevNode) -> None:
        super().__init__()
        self.node = node
        self.scratch = self.node.scratch()
        self.scratch.__enter__()
        self.kinds: dict[str | None, int] = {}
        self.paid: dict[tuple[str | None, str], int] = {}

    def teardown(self) -> None:
        self.scratch.__exit__(None, None, None)

    @initialize(shares=st.lists(st.integers(1, 2**96), min_size=1, max_size=4))
    def deploy(self, shares: list[int]) -> None:
        thief = created(self.node, for_tests("StealthyPayee")).address
        self.payees = [thief, "0x" + "b1" * 20, "0x" + "b2" * 20, "0x" + "b3" * 20][: len(shares)]
        self.shares = dict(zip(self.payees, shares, strict=True))
        self.splitter = created(self.node, load("NexusSplitter"), self.payees, shares)
        self.coins: dict[str | None, At] = {
            made.address: made for made in (created(self.node, for_tests(name)) for name in ("PlainToken", "FeeToken"))
        }
        self.kinds = dict.fromkeys([None, *self.coins], 0)
        self.paid = dict.fromkeys(itertools.product(self.kinds, self.payees), 0)

    @rule(kind=st.integers(0, 2), amount=st.one_of(st.integers(1, 20), st.integers(1, 2**80)))
    def receive(self, kind: int, amount: int) -> None:
        coin = list(self.kinds)[kind]
        before = self.held(coin)
        if coin is None:
            self.node.call("anvil_setBalance", [self.node.accounts[7], hex(amount + 10**20)])
            self.node.send(self.splitter.address, value=amount, sender=self.node.accounts[7])
        else:
            giver = self.node.accounts[6]
            self.coins[coin].send("mint(address,uint256)", giver, amount, sender=giver)
            self.coins[coin].send("transfer(address,uint256)", self.splitter.address, amount, sender=giver)
        self.kinds[coin] += self.held(coin) - before

    @rule(kind=st.integers(0, 2), payee=st.integers(0, 3))
    def release(self, kind: int, payee: int) -> None:
        coin, account = list(self.kinds)[kind], self.payees[payee % len(self.payees)]
        owed = self.due(coin, account)
        assert self.due_by_contract(coin, account) == owed
        call: tuple[object, ...] = ("release(address)", account) if coin is None else (
            "releaseToken(address,address)", coin, account
        )  # fmt: skip
        try:
            self.splitter.send(str(call[0]), *call[1:], sender=self.node.accounts[5])
            self.paid[coin, account] += owed
            assert owed > 0
        except Refused:
            assert owed == 0

    @invariant()
    def what_was_paid_and_what_is_held_is_what_came_in(self) -> None:
        for coin, received in self.kinds.items():
            paid = sum(self.paid[coin, payee] for payee in self.payees)
            assert paid + self.held(coin) == received
            for payee in self.payees:
                assert self.paid[coin, payee] <= received * self.shares[payee] // sum(self.shares.values())

    @invariant()
    def what_nobody_is_due_is_less_than_one_unit_a_payee(self) -> None:
        for coin in self.kinds:
            left = self.held(coin) - sum(self.due_by_contract(coin, payee) for payee in self.payees)
            assert 0 <= left < len(self.payees)

    def due(self, coin: str | None, payee: str) -> int:
        everything = sum(self.shares.values())
        return due(self.kinds[coin], self.shares[payee], everything, self.paid[coin, payee])

    def due_by_contract(self, coin: str | None, payee: str) -> int:
        if coin is None:
            return int(self.splitter.read("releasable(address)", payee))
        return int(self.splitter.read("releasableToken(address,address)", coin, payee))

    def held(self, coin: str | None) -> int:
        if coin is None:
            return self.node.balance(self.splitter.address)
        return int(self.coins[coin].read("balanceOf(address)", self.splitter.address))


def test_media__whatever_is_done__agrees_with_its_model(house: House) -> None:
    run_state_machine_as_test(lambda: MediaMachine(house), settings=RUNS)


def test_splitter__whatever_is_done__agrees_with_its_model(chain: DevNode) -> None:
    run_state_machine_as_test(lambda: SplitterMachine(chain), settings=RUNS)
