"""Whatever the chain and its nodes do, what is kept ends as exactly the logs that are part of the chain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.client.logs.follow import Follower
from contracts.client.logs.reader import Reader
from contracts.client.logs.state import Contract, Followed, thinned
from contracts.client.logs.values import Point
from contracts.client.rpc.errors import Answered, Indeterminate
from nexus.errors import Category, NexusError
from tests.contracts.logs.fake import (
    ALSO_OURS,
    EMBEDDED,
    OTHERS,
    OURS,
    PUBLIC,
    FakeChain,
    FakeNode,
    KilledError,
    MemoryJournal,
)

pytestmark = pytest.mark.unit

BOTH = (Contract("NexusMedia", OURS), Contract("NexusSplitter", ALSO_OURS))


def follow(node: FakeNode, journal: MemoryJournal, contracts: Sequence[Contract] = BOTH) -> Followed:
    return asyncio.run(Follower(Reader(node), journal, contracts, pause_s=0).follow())


def kept(journal: MemoryJournal) -> set[Any]:
    return set(journal.live(journal.states[-1].life, -1)) if journal.states else set()


def chain_with(*blocks: Sequence[Sequence[str]], seed: int = 0) -> FakeChain:
    made = FakeChain(seed)
    for transactions in blocks:
        made.mine(*transactions)
    return made


TRANSACTION = st.lists(st.sampled_from([OURS, ALSO_OURS, OTHERS]), max_size=3)
BLOCK = st.lists(TRANSACTION, max_size=3)
BLOCKS = st.lists(BLOCK, max_size=5)
FAULTS = st.sampled_from(
    ["none", "omits", "omits one", "html", "half a batch", "lags", "no receipts", "lies about a head"]
)
STEP = st.one_of(
    st.tuples(st.just("mine"), BLOCKS),
    st.tuples(st.just("reorganise"), st.integers(1, 12), BLOCKS),
    st.tuples(st.just("rollback"), st.integers(1, 12)),
    st.tuples(st.just("wipe"), BLOCKS),
    st.tuples(st.just("follow"), FAULTS, st.sampled_from([1, 3, 10_000])),
    st.tuples(st.just("kill"), st.sampled_from(["before", "after"])),
    st.tuples(st.just("moves while it is read"), st.integers(1, 30), st.integers(1, 6), BLOCKS),
)


def fault_of(kind: str) -> Callable[[str, Any, Any], Any] | None:
    """A fault that strikes the first fitting answers, then ends."""
    left = [3]

    def strike(method: str, params: Any, answer: Any) -> Any:
        spoilt = _spoilt(kind, method, params, answer)
        if left[0] and spoilt is not answer:
            left[0] -= 1
            return spoilt
        return answer

    return None if kind == "none" else strike


def _spoilt(kind: str, method: str, params: Any, answer: Any) -> Any:
    is_block = method == "eth_getBlockByNumber" and isinstance(answer, dict)
    if kind == "omits" and method == "eth_getLogs" and answer:
        return []
    if kind == "omits one" and method == "eth_getLogs" and isinstance(answer, list) and answer:
        return answer[:-1]
    if kind == "html" and method == "eth_getLogs":
        return Indeterminate("answered with a page of HTML", kind="malformed")
    if kind == "half a batch" and is_block and params[0] not in {"latest", "0x0"}:
        return Indeterminate("left a question of a batch without an answer", kind="malformed")
    if kind == "lags" and is_block and params[0] not in {"latest", "0x0"}:
        return None
    if kind == "no receipts" and method == "eth_getBlockReceipts":
        return Answered(-32601, "the method does not exist")
    if kind == "lies about a head" and is_block and params[0] != "0x0":
        return answer | {"logsBloom": "0x" + "00" * 256}
    return answer


class World:
    """A chain, its reader's journal, and what can happen to them."""

    def __init__(self) -> None:
        self.chain, self.journal, self.lives = FakeChain(), MemoryJournal(), 0

    def take(self, step: Sequence[Any]) -> None:
        match step:
            case ("mine", blocks):
                self.chain.reorganise(0, blocks)
            case ("reorganise", depth, blocks):
                self.chain.reorganise(depth, blocks)
            case ("rollback", depth):
                self.chain.rollback(depth)
            case ("wipe", blocks):
                self.lives += 1
                self.chain = chain_with(*blocks, seed=self.lives)
            case ("follow", kind, most_blocks):
                self.follow(FakeNode(self.chain, fault=fault_of(kind), most_blocks=most_blocks))
                if kind != "no receipts":
                    assert kept(self.journal) == self.chain.canonical()
            case ("kill", when):
                self.journal.kill = when
                self.follow(FakeNode(self.chain))
                self.journal.kill = ""
            case ("moves while it is read", question, depth, blocks):
                chain = self.chain
                self.follow(FakeNode(chain, events={question: lambda: chain.reorganise(depth, blocks)}))

    def follow(self, node: FakeNode) -> None:
        try:
            follow(node, self.journal)
        except KilledError:
            return


@settings(max_examples=150)
@given(steps=st.lists(STEP, max_size=12))
def test_follow__any_history_of_reorganisations_faults_and_kills__ends_as_the_chain(steps: list[Any]) -> None:
    world = World()
    for step in steps:
        world.take(step)
    follow(FakeNode(world.chain), world.journal)
    assert kept(world.journal) == world.chain.canonical()
    before = len(world.journal.states), len(world.journal.records)
    follow(FakeNode(world.chain), world.journal)
    assert (len(world.journal.states), len(world.journal.records)) == before, "reading twice changed something"


def test_follow__the_same_log_in_another_block__is_retracted_and_added() -> None:
    chain, journal = chain_with([[OURS]], [[OURS]]), MemoryJournal()
    follow(FakeNode(chain), journal)
    (gone,) = journal.live(journal.states[-1].life, 1).values()
    chain.reorganise(1, [[], [[OURS]]])
    done = follow(FakeNode(chain), journal)
    assert (done.rows, done.orphaned) == (1, 1)
    assert [record[0] for record in journal.records] == ["log", "log", "orphaned", "log"]
    assert gone.key not in kept(journal)
    assert done.forks == [{"above_block": 1, "depth": 1, "is_below_final": False, "is_below_all": False, "orphaned": 1}]


def test_follow__back_on_the_first_branch__its_logs_are_live_again() -> None:
    chain, journal = chain_with([[OURS]], [[OURS]]), MemoryJournal()
    first = list(chain.blocks)
    follow(FakeNode(chain), journal)
    chain.reorganise(2, [[], [], []])
    follow(FakeNode(chain), journal)
    assert kept(journal) == set()
    chain.blocks = [*first]
    chain.mine([OURS])
    follow(FakeNode(chain), journal)
    assert kept(journal) == chain.canonical()


def test_follow__deeper_than_anything_read__reads_all_again() -> None:
    chain, journal = chain_with(*[[[OURS]]] * 5), MemoryJournal()
    contracts = (Contract("NexusMedia", OURS, first_block=4),)
    follow(FakeNode(chain), journal, contracts)
    chain.reorganise(5, [[[OURS]]] * 6)
    done = follow(FakeNode(chain), journal, contracts)
    assert done.forks[0]["is_below_all"]
    assert done.forks[0]["is_below_final"]
    assert {log.block_number for log in journal.live(journal.states[-1].life, -1).values()} == {4, 5, 6}


def test_follow__another_first_block_on_a_public_chain__is_refused() -> None:
    journal = MemoryJournal()
    follow(FakeNode(chain_with([[OURS]]), PUBLIC), journal)
    with pytest.raises(NexusError) as caught:
        follow(FakeNode(chain_with([[OURS]], seed=1), PUBLIC), journal)
    assert caught.value.category is Category.CONFLICT
    assert len(kept(journal)) == 1


def test_follow__a_wiped_development_chain__is_a_new_life_and_says_so() -> None:
    journal, first = MemoryJournal(), chain_with([[OURS]])
    follow(FakeNode(first, EMBEDDED), journal)
    done = follow(FakeNode(chain_with(seed=1), EMBEDDED), journal)
    assert done.previous_life == first.blocks[0]["head"]["hash"]
    assert kept(journal) == set()
    assert len(journal.states) == 2


def test_follow__a_first_block_that_the_second_does_not_know__is_not_believed() -> None:
    """What an anvil shows after it was restarted from its state twice."""
    chain, journal, other = chain_with([[OURS]], [[OURS]]), MemoryJournal(), FakeChain(seed=9).blocks[0]["head"]
    shown = lambda _, params, answer: other if params[:1] == ("0x0",) else answer  # noqa: E731
    follow(FakeNode(chain), journal)
    chain.reorganise(2, [[[OURS]]])
    done = follow(FakeNode(chain, fault=shown), journal)
    assert done.previous_life is None
    assert kept(journal) == chain.canonical()
    assert follow(FakeNode(chain, fault=shown), MemoryJournal()).rows == 1


def test_follow__a_block_of_another_branch_in_between__keeps_nothing_of_it() -> None:
    chain, journal, other = chain_with([[OURS]], [], [[OURS]]), MemoryJournal(), chain_with([], [], seed=9)
    mixed = lambda _, params, answer: other.blocks[2]["head"] if params[:1] == ("0x2",) else answer  # noqa: E731
    with pytest.raises(NexusError, match="no child") as caught:
        follow(FakeNode(chain, fault=mixed), journal)
    assert caught.value.category is Category.UNAVAILABLE
    assert journal.states == []


def test_follow__a_public_node_that_lags__retracts_nothing() -> None:
    chain, journal = chain_with(*[[[OURS]]] * 6), MemoryJournal()
    follow(FakeNode(chain, PUBLIC), journal)
    late = FakeChain()
    late.blocks = chain.blocks[:4]
    done = follow(FakeNode(late, PUBLIC), journal)
    assert done.is_behind
    assert kept(journal) == chain.canonical()


def test_follow__two_endpoints_on_other_branches__keeps_what_was() -> None:
    chain, journal = chain_with(*[[[OURS]]] * 4), MemoryJournal()
    follow(FakeNode(chain, PUBLIC), journal)
    forked = FakeChain()
    forked.blocks = chain.blocks[:2]
    forked.reorganise(0, [[], [], [], []])
    forked.made += 50
    with pytest.raises(NexusError) as caught:
        follow(FakeNode(forked, PUBLIC, others=[FakeNode(chain, PUBLIC)]), journal)
    assert caught.value.category is Category.UNAVAILABLE
    assert kept(journal) == chain.canonical()


def test_follow__a_node_that_leaves_logs_out_for_ever__is_proven_wrong() -> None:
    chain, journal = chain_with([[OURS], [OURS, ALSO_OURS]], [], [[ALSO_OURS]]), MemoryJournal()
    node = FakeNode(chain, fault=lambda method, _, answer: answer[:1] if method == "eth_getLogs" else answer)
    done = follow(node, journal)
    assert kept(journal) == chain.canonical()
    assert (done.rows, done.omitted, done.unproven) == (4, 3, 0)


def test_follow__no_receipts_and_one_endpoint__counts_what_nobody_proved() -> None:
    chain, journal = chain_with([[OURS]], [], [[OURS]]), MemoryJournal()
    done = follow(FakeNode(chain, fault=_without_receipts), journal)
    assert done.unproven == 2
    assert kept(journal) == chain.canonical()


def test_follow__no_receipts_and_endpoints_that_disagree__keeps_nothing() -> None:
    chain, journal = chain_with([[OURS]]), MemoryJournal()
    liar = FakeNode(chain, fault=lambda method, _, answer: [] if method == "eth_getLogs" else answer)
    with pytest.raises(NexusError) as caught:
        follow(FakeNode(chain, fault=_without_receipts, others=[liar]), journal)
    assert caught.value.category is Category.UNAVAILABLE
    assert kept(journal) == set()


def _without_receipts(method: str, _: Any, answer: Any) -> Any:
    return Answered(-32601, "unknown method") if method == "eth_getBlockReceipts" else answer


def test_follow__an_invented_log__is_refused_by_the_bloom() -> None:
    chain, journal = chain_with([[OTHERS]]), MemoryJournal()

    def invents(method: str, _: Any, answer: Any) -> Any:
        return [chain.blocks[1]["receipts"][0]["logs"][0] | {"address": OURS}] if method == "eth_getLogs" else answer

    with pytest.raises(NexusError) as caught:
        follow(FakeNode(chain, fault=invents), journal)
    assert "cannot have" in caught.value.message
    assert kept(journal) == set()


def test_follow__ranges_that_are_too_large__are_halved_until_they_pass() -> None:
    chain, journal = chain_with(*[[[OURS]]] * 40), MemoryJournal()
    node = FakeNode(chain, most_blocks=3)
    follow(node, journal)
    assert kept(journal) == chain.canonical()
    assert node.methods.count("eth_getLogs") < 30


def test_follow__a_node_that_refuses_even_one_block__is_told() -> None:
    with pytest.raises(NexusError) as caught:
        follow(FakeNode(chain_with([[OURS]] * 2), most_blocks=0), MemoryJournal())
    assert caught.value.category is Category.UNAVAILABLE
    assert "refuses" in caught.value.message


def test_follow__a_contract_that_is_added_later__has_all_its_logs() -> None:
    chain, journal = chain_with([[OURS]], [[ALSO_OURS]], [[OURS, ALSO_OURS]]), MemoryJournal()
    follow(FakeNode(chain), journal, BOTH[:1])
    assert kept(journal) == chain.canonical([OURS])
    done = follow(FakeNode(chain), journal)
    assert kept(journal) == chain.canonical()
    assert done.rows == 2


def test_follow__a_second_reader_that_is_faster__nothing_is_there_twice() -> None:
    chain, journal = chain_with([[OURS]]), MemoryJournal()
    other = MemoryJournal(journal.records, journal.states)
    node = FakeNode(chain, events={4: lambda: None})

    def meanwhile() -> None:
        _finish(Follower(Reader(FakeNode(chain)), other, BOTH, pause_s=0).follow())

    node.events[4] = meanwhile
    done = follow(node, journal)
    assert (done.rows, done.tries) == (0, 1)
    assert [record[0] for record in journal.records] == ["log"]


def _finish(reading: Any) -> None:
    """Run to its end inside a running loop: nothing in it really waits."""
    try:
        while True:
            reading.send(None)
    except StopIteration:
        return


def test_follow__no_news__commits_nothing_until_logs_become_final() -> None:
    chain, journal = chain_with([[OURS]]), MemoryJournal()
    assert follow(FakeNode(chain), journal).commits == 1
    chain.mine()
    assert follow(FakeNode(chain), journal).commits == 0
    chain.mine()
    assert follow(FakeNode(chain), journal).commits == 1
    assert follow(FakeNode(chain), journal).commits == 0


@settings(max_examples=25)
@given(ends=st.lists(st.integers(1, 3000), min_size=1, max_size=8))
def test_thinned__any_growth__keeps_the_last_ones_the_lowest_and_few(ends: list[int]) -> None:
    anchors, at = (Point(0, "0"),), 0
    for step in ends:
        new = [Point(number, str(number)) for number in range(at + 1, at + step + 1)]
        at += step
        anchors = thinned(new[-1], new, anchors)
        numbers = [point.number for point in anchors]
        assert numbers == sorted(set(numbers), reverse=True)
        assert numbers[0] == at
        assert numbers[-1] == 0
        assert len(numbers) <= 32 + 16
