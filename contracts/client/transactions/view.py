"""What the chain says: its head, nonces, receipts, blocks, and who used a nonce.

Belongs here: reading and doubting. A receipt alone proves nothing: it counts when the block at its height has its hash and
lists the transaction. Silence and nonsense are left out of the answers, so that nobody takes them for a no.
Does not belong here: what follows for a row (watching.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.client.chains import Chain
from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.rpc.pool import Rpc


@dataclass(frozen=True, slots=True)
class Head:
    """The newest block, and the highest one that is final (below zero: none)."""

    number: int
    base_fee_wei: int
    final: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """That a transaction stands in a block, as a node says."""

    tx_hash: str
    block_number: int
    block_hash: str
    is_reverted: bool


@dataclass(frozen=True, slots=True)
class Block:
    """A block by number, with the hashes of its transactions."""

    number: int
    hash: str
    transactions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Taker:
    """The transaction that used a nonce."""

    receipt: Receipt
    to: str | None
    data: bytes
    value: int


class View:
    """One chain as its nodes show it.

    Args:
        rpc: The nodes.
        chain: Its rules.
    """

    def __init__(self, rpc: Rpc, chain: Chain) -> None:
        self._rpc = rpc
        self._chain = chain

    async def head(self) -> Head:
        """The newest block.

        Raises:
            Indeterminate: No node says.
        """
        wanted: list[tuple[str, list[Any]]] = [("eth_getBlockByNumber", ["latest", False])]
        if self._chain.finality == "finalized":
            wanted.append(("eth_getBlockByNumber", ["finalized", False]))
        found = [_header(outcome) for outcome in await self._rpc.batch(wanted)]
        newest = found[0]
        if newest is None:
            raise Indeterminate("no node shows the newest block", kind="malformed")
        number, base_fee = newest
        tagged = found[1][0] if len(found) > 1 and found[1] is not None else None
        return Head(number, base_fee, self._chain.final_block(number, tagged))

    async def counts(self, addresses: Iterable[str], block: int | None = None) -> dict[str, int]:
        """How many nonces each address has used, in the newest block or in one by number."""
        tag = "latest" if block is None else hex(block)
        return await self._numbers("eth_getTransactionCount", addresses, tag)

    async def balances(self, addresses: Iterable[str]) -> dict[str, int]:
        """What each address has, in wei."""
        return await self._numbers("eth_getBalance", addresses, "latest")

    async def _numbers(self, method: str, addresses: Iterable[str], tag: str) -> dict[str, int]:
        listed = sorted(set(addresses))
        outcomes = await self._rpc.batch([(method, [address, tag]) for address in listed]) if listed else []
        found = {address: _number(outcome) for address, outcome in zip(listed, outcomes, strict=True)}
        return {address: number for address, number in found.items() if number is not None}

    async def receipts(self, hashes: Sequence[str]) -> dict[str, Receipt]:
        """Receipts by hash, as nodes show them; what has none is left out."""
        outcomes = await self._rpc.batch([("eth_getTransactionReceipt", [one]) for one in hashes]) if hashes else []
        found = {one: _receipt(outcome) for one, outcome in zip(hashes, outcomes, strict=True)}
        return {one: receipt for one, receipt in found.items() if receipt is not None and receipt.tx_hash == one}

    async def blocks(self, numbers: Iterable[int]) -> dict[int, Block]:
        """Blocks by number; unknown ones are left out."""
        listed = sorted(set(numbers))
        questions: list[tuple[str, list[Any]]] = [("eth_getBlockByNumber", [hex(one), False]) for one in listed]
        outcomes = await self._rpc.batch(questions) if listed else []
        found = {one: _block(outcome) for one, outcome in zip(listed, outcomes, strict=True)}
        return {one: block for one, block in found.items() if block is not None and block.number == one}

    async def agreed_blocks(self, numbers: Iterable[int]) -> dict[int, Block]:
        """The same, as two endpoints say where there are two."""
        if len(self._rpc.health()) == 1:
            return await self.blocks(numbers)
        found: dict[int, Block] = {}
        for number in sorted(set(numbers)):
            try:
                block = _block(await self._rpc.quorum("eth_getBlockByNumber", [hex(number), False]))
            except (Answered, Indeterminate):
                continue
            if block is not None and block.number == number:
                found[number] = block
        return found

    async def agreed_receipt(self, tx_hash: str) -> Receipt | None:
        """A receipt as two endpoints say where there are two."""
        try:
            return _receipt(await self._rpc.quorum("eth_getTransactionReceipt", [tx_hash]))
        except (Answered, Indeterminate):
            return None

    async def taker(self, address: str, nonce: int, final: int) -> Taker | None:
        """The transaction that used a nonce, found in a final block; None: it can't be shown now.

        Args:
            address: Whose nonce.
            nonce: Which.
            final: The highest final block; the nonce is used there already.
        """
        try:
            number = await self._crossing(address, nonce, final)
            if number is None:
                return None
            block = await self._rpc.quorum("eth_getBlockByNumber", [hex(number), True])
        except (Answered, Indeterminate):
            return None
        return _taker(block, address, nonce)

    async def _crossing(self, address: str, nonce: int, final: int) -> int | None:
        """The lowest block in which the nonce is used; recent blocks are asked first, many nodes keep no others."""
        high, step = final, 1
        if not await self._is_used(address, nonce, high):
            return None
        low = high
        while low > 0:
            low = max(0, high - step)
            if not await self._is_used(address, nonce, low):
                break
            high, step = low, step * 4
        while high - low > 1:
            middle = (low + high) // 2
            if await self._is_used(address, nonce, middle):
                high = middle
            else:
                low = middle
        return high

    async def _is_used(self, address: str, nonce: int, block: int) -> bool:
        count = _number(await self._rpc.call("eth_getTransactionCount", [address, hex(block)]))
        if count is None:
            raise Indeterminate("no node counts nonces at this block", kind="malformed")
        return count > nonce


def _number(found: Any) -> int | None:
    try:
        return int(found, 16)
    except (TypeError, ValueError):
        return None


def _header(found: Any) -> tuple[int, int] | None:
    """Number and base fee."""
    if not isinstance(found, dict):
        return None
    number = _number(found.get("number"))
    return None if number is None else (number, _number(found.get("baseFeePerGas")) or 0)


def _block(found: Any) -> Block | None:
    if not isinstance(found, dict):
        return None
    number, block_hash, listed = _number(found.get("number")), found.get("hash"), found.get("transactions")
    if number is None or not isinstance(block_hash, str) or not isinstance(listed, list):
        return None
    return Block(number, block_hash.lower(), frozenset(one.lower() for one in listed if isinstance(one, str)))


def _receipt(found: Any) -> Receipt | None:
    if not isinstance(found, dict):
        return None
    number, status = _number(found.get("blockNumber")), _number(found.get("status"))
    tx_hash, block_hash = found.get("transactionHash"), found.get("blockHash")
    if number is None or status is None or not isinstance(tx_hash, str) or not isinstance(block_hash, str):
        return None
    return Receipt(tx_hash.lower(), number, block_hash.lower(), status == 0)


def _taker(block: Any, address: str, nonce: int) -> Taker | None:
    """The transaction of an address and nonce in a block with whole transactions."""
    if not isinstance(block, dict) or not isinstance(block.get("transactions"), list):
        return None
    number = _number(block.get("number"))
    for tx in block["transactions"]:
        if not isinstance(tx, dict) or str(tx.get("from")).lower() != address or _number(tx.get("nonce")) != nonce:
            continue
        if number is None:
            return None
        receipt = Receipt(str(tx["hash"]).lower(), number, str(block["hash"]).lower(), is_reverted=False)
        data = bytes.fromhex(str(tx.get("input") or "0x").removeprefix("0x"))
        to = tx.get("to")
        return Taker(receipt, to.lower() if isinstance(to, str) else None, data, _number(tx.get("value")) or 0)
    return None
