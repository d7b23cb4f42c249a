"""A stretch of blocks that fits together, proven as far as a proof can be had.

How a node that leaves logs out is found: every head hashes to its name and names its parent; a bloom that does not name
our contracts proves silence; where it does, or where logs were given, the block's receipts are hashed up to the
root in the head and their logs are taken. What is left (blooms too full to tell, receipts that the chain hashes
otherwise) is compared with other endpoints, where there are any, and counted where there are none.

Belongs here: which answers are refused. Does not belong here: asking (reader.py), what was read before (follow.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.client.logs import proofs
from contracts.client.logs.reader import Reader
from contracts.client.logs.values import Header, Inconsistent, Log, Point, as_bytes, logs, quantity
from contracts.client.rpc.errors import Answered

Headers = Mapping[int, Header]
ByBlock = dict[int, list[Log]]


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks one upon the other, and the logs of our contracts in them.

    Attributes:
        headers: By height; the first is the child of where the section begins.
        logs: In the order of the chain.
        unproven: Blocks that may have logs of ours which no proof and no second endpoint excludes.
        omitted: Logs that an answer left out and a proof brought back.
    """

    headers: Headers
    logs: Sequence[Log]
    unproven: int
    omitted: int

    @property
    def end(self) -> Point:
        """The last block."""
        number = max(self.headers)
        return Point(number, self.headers[number].hash)


async def read(reader: Reader, start: Point, to: int, addresses: Collection[str]) -> Section:
    """What lies above a block.

    Args:
        reader: Of the chain.
        start: The block below the section.
        to: The last block wanted; where a node does not have it yet, the section ends earlier.
        addresses: Our contracts, in small letters.

    Raises:
        Inconsistent: The answers do not fit together.
        Indeterminate: No endpoint answers.
        TooMuch: A node cannot tell so many blocks at once.
    """
    headers = _linked(start, await reader.blocks(range(start.number + 1, to + 1)))
    given = await reader.logs(start.number + 1, max(headers), addresses) if addresses else []
    by_block = _placed(headers, given, addresses)
    provable, doubtful = _sorted(reader, headers, by_block, addresses)
    omitted, silent = await _prove(reader, [headers[number] for number in provable], by_block, addresses)
    unproven = await _compare(reader, headers, by_block, [*doubtful, *silent], addresses)
    found = [log for number in sorted(by_block) for log in sorted(by_block[number], key=lambda log: log.key[1])]
    return Section(headers, found, unproven, omitted)


def _linked(start: Point, blocks: Sequence[Header | None]) -> dict[int, Header]:
    """The blocks up to the first that a node does not have, each the child of the one before."""
    below, found = start.hash, {}
    for block in blocks:
        if block is None:
            break
        if block.parent != below:
            raise Inconsistent(f"block {block.number} is no child of the block below it")
        below = block.hash
        found[block.number] = block
    if not found:
        raise Inconsistent(f"no endpoint has a block above {start.number}")
    return found


def _placed(headers: Headers, given: Sequence[Log], addresses: Collection[str]) -> ByBlock:
    """The logs by block, when each is one that was asked for, of a block that the chain has."""
    by_block: ByBlock = {number: [] for number in headers}
    for log in given:
        if log.address not in addresses or log.block_number not in headers:
            raise Inconsistent("a log was given that was not asked for")
        if log.block_hash != headers[log.block_number].hash:
            raise Inconsistent(f"a log is of another block {log.block_number} than the chain has")
        by_block[log.block_number].append(log)
    return by_block


def _sorted(
    reader: Reader, headers: Headers, given: ByBlock, addresses: Collection[str]
) -> tuple[list[int], list[int]]:
    """Blocks whose receipts are worth asking for, and blocks of which nothing can be proven."""
    names = {address: as_bytes(address, 20) for address in addresses}
    provable: list[int] = []
    doubtful: list[int] = []
    for number, block in headers.items():
        said = {log.address for log in given[number]}
        named = {address for address, name in names.items() if proofs.may_have(block.bloom, name)}
        if said - named:
            raise Inconsistent(f"a log was given that block {number} cannot have")
        if named:
            is_worth_it = reader.has_plain_receipts and (said or proofs.is_telling(block.bloom))
            (provable if is_worth_it else doubtful).append(number)
    return provable, doubtful


async def _prove(
    reader: Reader, blocks: Sequence[Header], by_block: ByBlock, addresses: Collection[str]
) -> tuple[int, list[int]]:
    """Take the logs of these blocks from proven receipts; how many were left out, and blocks without receipts."""
    omitted, silent = 0, []
    for block, said in zip(blocks, await reader.receipts(blocks), strict=True):
        if isinstance(said, Answered):
            silent.append(block.number)
            continue
        proven = _proven(block, said, addresses)
        omitted += len({log.key for log in proven} - {log.key for log in by_block[block.number]})
        by_block[block.number] = proven
    return omitted, silent


def _proven(block: Header, said: Any, addresses: Collection[str]) -> list[Log]:
    """The logs of our contracts in a block, from receipts that hash to its root."""
    if not isinstance(said, list) or not all(isinstance(receipt, dict) for receipt in said):
        raise Inconsistent("receipts are no list")
    of_receipts = [logs(receipt.get("logs")) for receipt in said]
    proofs.check_receipts(block, said)
    transactions = block.raw.get("transactions")
    found, place = [], 0
    for index, group in enumerate(of_receipts):
        for log in group:
            of_block = (log.block_hash, log.block_number, quantity(log.log_index), quantity(log.tx_index))
            if of_block != (block.hash, block.number, place, index):
                raise Inconsistent(f"a log of block {block.number} is said to stand elsewhere")
            if isinstance(transactions, list) and str(transactions[index]).lower() != log.tx_hash:
                raise Inconsistent(f"a log of block {block.number} is said to be of another transaction")
            place += 1
            if log.address in addresses:
                found.append(log)
    return found


async def _compare(
    reader: Reader, headers: Headers, by_block: ByBlock, numbers: Sequence[int], addresses: Collection[str]
) -> int:
    """See that a second endpoint says the same of these blocks; how many nobody could compare."""
    if not numbers or not reader.has_others:
        return len(numbers)
    agreed = await reader.agreed_logs(min(numbers), max(numbers), addresses)
    for number in numbers:
        same = {log for log in agreed if log.block_number == number}
        if same != set(by_block[number]) or any(log.block_hash != headers[number].hash for log in same):
            raise Inconsistent(f"the endpoints do not agree about the logs of block {number}")
    return 0
