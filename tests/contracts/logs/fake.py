"""A chain in memory whose heads and receipts hash as real ones do, with nodes that lag, leave out, refuse and move.

Belongs here: the chain, the lying node, a journal in memory. Does not belong here: tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from contracts.client.chains import CHAINS, Chain
from contracts.client.logs import proofs
from contracts.client.logs.state import State
from contracts.client.logs.values import Header, Key, Log, logs
from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.rpc.health import Health
from nexus.errors import Category, NexusError

OURS, ALSO_OURS, OTHERS = "0x" + "aa" * 20, "0x" + "bb" * 20, "0x" + "cc" * 20
TOPIC = "0x" + "11" * 32
EMBEDDED = CHAINS["anvil"]
PUBLIC = replace(CHAINS["sepolia"], finality="depth", depth=3)
_BLANK = "0x" + "00" * 256
Block = dict[str, Any]


@dataclass
class FakeChain:
    """Blocks one upon the other; each is ``{"head": ..., "receipts": [...]}``.

    Args:
        seed: Another one gives another first block.
    """

    seed: int = 0
    blocks: list[Block] = field(default_factory=list)
    made: int = 0

    def __post_init__(self) -> None:
        self.mine()

    @property
    def head(self) -> int:
        return len(self.blocks) - 1

    def mine(self, *transactions: Sequence[str]) -> None:
        """One block; a transaction is the addresses that write a log each."""
        self.made += 1
        bloom, receipts, place = bytes.fromhex(_BLANK[2:]), [], 0
        number = hex(len(self.blocks))
        for index, addresses in enumerate(transactions):
            written, own = [], bytes.fromhex(_BLANK[2:])
            for address in addresses:
                for item in (address, TOPIC):
                    bloom, own = (proofs.with_item(b, bytes.fromhex(item[2:])) for b in (bloom, own))
                written.append(
                    {
                        "address": address,
                        "topics": [TOPIC],
                        "data": "0x" + f"{place:064x}",
                        "blockNumber": number,
                        "transactionHash": "0x" + f"{self.made:032x}{index:032x}",
                        "transactionIndex": hex(index),
                        "logIndex": hex(place),
                        "removed": False,
                    }
                )
                place += 1
            receipts.append(
                {
                    "type": "0x2" if index % 2 else "0x0",
                    "status": "0x1",
                    "cumulativeGasUsed": hex(21_000 * (index + 1)),
                    "logsBloom": "0x" + own.hex(),
                    "logs": written,
                }
            )
        self._seal(bloom, receipts)

    def _seal(self, bloom: bytes, receipts: list[dict[str, Any]]) -> None:
        zero = "0x" + "00" * 32
        head = {
            "parentHash": self.blocks[-1]["head"]["hash"] if self.blocks else zero,
            "sha3Uncles": zero,
            "miner": OTHERS,
            "stateRoot": zero,
            "transactionsRoot": zero,
            "receiptsRoot": proofs.receipts_root(receipts),
            "logsBloom": "0x" + bloom.hex(),
            "difficulty": "0x0",
            "number": hex(len(self.blocks)),
            "gasLimit": "0x1c9c380",
            "gasUsed": "0x0",
            "timestamp": hex(1_700_000_000 + len(self.blocks)),
            "extraData": "0x" + f"{self.seed:016x}{self.made:016x}",
            "mixHash": zero,
            "nonce": "0x" + "00" * 8,
            "baseFeePerGas": "0x7",
        }
        head["hash"] = proofs.header_hash(head)
        for receipt in receipts:
            for log in receipt["logs"]:
                log["blockHash"] = head["hash"]
        head["transactions"] = ["0x" + f"{self.made:032x}{index:032x}" for index in range(len(receipts))]
        self.blocks.append({"head": head, "receipts": receipts})

    def rollback(self, depth: int) -> None:
        """Take the last blocks away; the first one stays."""
        del self.blocks[max(1, len(self.blocks) - depth) :]

    def reorganise(self, depth: int, again: Iterable[Sequence[Sequence[str]]]) -> None:
        """Other blocks instead of the last ones."""
        self.rollback(depth)
        for transactions in again:
            self.mine(*transactions)

    def canonical(self, addresses: Iterable[str] = (OURS, ALSO_OURS)) -> set[Key]:
        """What is true."""
        found = [log for block in self.blocks for receipt in block["receipts"] for log in receipt["logs"]]
        return {(log["blockHash"], int(log["logIndex"], 16)) for log in found if log["address"] in set(addresses)}

    def log(self, key: Key) -> Log:
        return next(log for log in self.all_logs() if log.key == key)

    def all_logs(self) -> list[Log]:
        return logs([log for block in self.blocks for receipt in block["receipts"] for log in receipt["logs"]])


@dataclass
class FakeNode:
    """A node over a chain; ``faults`` may spoil or replace any answer, ``events`` happen at the n-th question."""

    source: FakeChain
    chain: Chain = EMBEDDED
    most_blocks: int = 10_000
    others: list[FakeNode] = field(default_factory=list)
    fault: Callable[[str, Any, Any], Any] | None = None
    events: dict[int, Callable[[], None]] = field(default_factory=dict)
    asked: int = 0
    methods: list[str] = field(default_factory=list)

    async def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        self.asked += 1
        self.methods.append(method)
        event = self.events.pop(self.asked, None)
        if event is not None:
            event()
        answer = self._answer(method, params)
        if self.fault is not None:
            answer = self.fault(method, params, answer)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def batch(self, questions: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        found: list[Any] = []
        for method, params in questions:
            try:
                found.append(await self.call(method, params))
            except (Answered, Indeterminate) as error:
                found.append(error)
        return found

    async def quorum(self, method: str, params: Sequence[Any] = (), agree: int = 2, *, by: Any = None) -> Any:  # noqa: ARG002
        answers = [await node.call(method, params) for node in (self, *self.others)]
        if len({str(by(answer) if by else answer) for answer in answers}) > 1:
            raise Indeterminate("the endpoints do not agree", kind="disagreement")
        return answers[0]

    def health(self) -> list[Health]:
        return [Health("fake", "well", 1.0, 1.0, 0, 1, None)] * (1 + len(self.others))

    def _answer(self, method: str, params: Sequence[Any]) -> Any:
        blocks = self.source.blocks
        if method == "eth_getBlockByNumber":
            number = self.source.head if params[0] == "latest" else int(params[0], 16)
            return dict(blocks[number]["head"]) if number < len(blocks) else None
        if method == "eth_getBlockReceipts":
            found = [block["receipts"] for block in blocks if block["head"]["hash"] == params[0]]
            return found[0] if found else None
        if method == "eth_getLogs":
            (wanted,) = params
            first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
            if last - first + 1 > self.most_blocks:
                return Answered(-32005, "query returned more than 10000 results")
            of_range = [block["receipts"] for block in blocks[first : last + 1]]
            found = [log for receipts in of_range for receipt in receipts for log in receipt["logs"]]
            return [log for log in found if log["address"] in wanted["address"]]
        raise AssertionError(method)


class KilledError(Exception):
    """What a kill looks like from inside."""


@dataclass
class MemoryJournal:
    """The rules of a journal without a lake; ``kill`` ends the process before or after a commit."""

    records: list[tuple[str, str, Log]] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    kill: str = ""
    _seen: int = 0

    def state(self) -> State | None:
        self._seen = len(self.states)
        return self.states[-1] if self.states else None

    def live(self, life: str, above: int) -> dict[Key, Log]:
        last = {log.key: (kind, log) for kind, of_life, log in self.records if of_life == life}
        return {key: log for key, (kind, log) in last.items() if kind == "log" and log.block_number > above}

    def commit(self, state: State, new: Sequence[tuple[Log, Header]], gone: Sequence[Log], reason: str) -> None:  # noqa: ARG002
        if self._seen != len(self.states):
            raise NexusError("another reader was faster", category=Category.CONFLICT, field="follows")
        kill, self.kill = self.kill, ""
        if kill == "before":
            raise KilledError
        known = self.live(state.life, -1)
        for log in gone:
            assert log.key in known, "retracted though it is not there"
            self.records.append(("orphaned", state.life, log))
        known = self.live(state.life, -1)
        for log, _ in new:
            assert log.key not in known, "added though it is there"
            self.records.append(("log", state.life, log))
        self.states.append(State.from_json(state.as_json()))
        self._seen = len(self.states)
        if kill == "after":
            raise KilledError
