"""A JSON-RPC endpoint that misbehaves: a real HTTP process on loopback, in front of a real node.

    python tests/contracts/faulty_rpc.py --upstream http://127.0.0.1:8545 --port 18600 --seed 7

What it does to requests: drops them, drops replies after passing them on, delays, hangs, passes them on twice, answers 429 or 503 (passed
on or not), HTML with status 200, half a JSON, another id. What it does to single questions: no receipt, a receipt of another
block, an old ``latest``, "already known", "nonce too low", "replacement transaction underpriced" (passed on or not), "accepted"
without passing on; on request forged outcomes. It always enforces geth's rule that a replacement offers 10 % more of both fees, which anvil does not.
``GET /faults`` tells how often each happened, ``POST /faults`` sets the chances (JSON object, names of FAULTS).
Belongs here: misbehaving. Does not belong here: reorganisations (the node makes those itself: ``anvil_reorg``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections import Counter
from typing import Any

import httpx

REQUEST_FAULTS = ("drop_request", "drop_reply", "delay", "hang", "twice", "429", "503", "html", "half", "wrong_id")
SEND_FAULTS = ("known", "nonce_low", "underpriced", "forgotten")
READ_FAULTS = ("no_receipt", "other_receipt", "stale")
# A receipt with the right block and the wrong outcome, sound bytes called unsound: only a second endpoint tells.
FORGERIES = ("forged", "refused")
FAULTS = REQUEST_FAULTS + SEND_FAULTS + READ_FAULTS
MIX: dict[str, float] = {
    **dict.fromkeys(REQUEST_FAULTS, 0.02),
    "hang": 0.004,
    "delay": 0.05,
    **dict.fromkeys(SEND_FAULTS, 0.03),
    **dict.fromkeys(READ_FAULTS, 0.05),
}
PAGE = b"<html><body>502 Bad Gateway</body></html>"
TOO_LONG_S, LONG_S = 5.0, 0.15
STALE_BLOCKS = 3
AGEING = {"eth_getBlockByNumber", "eth_getTransactionCount", "eth_getBalance"}


class Dropped(Exception):  # noqa: N818 - nobody sees it
    """The connection ends without an answer."""


class FaultyRpc:
    """The proxy.

    Args:
        upstream: The node.
        seed: Of all chances.
        rates: Chance of each fault.
    """

    def __init__(self, upstream: str, seed: int, rates: dict[str, float]) -> None:
        self.rates = dict(rates)
        self.seen: Counter[str] = Counter()
        self._random = random.Random(seed)  # noqa: S311 - chance, no secret
        self._http = httpx.AsyncClient(base_url=upstream, timeout=30, trust_env=False)
        self._pending: dict[tuple[str, int], tuple[str, int, int]] = {}

    def _happens(self, fault: str) -> bool:
        happens = self._random.random() < self.rates.get(fault, 0.0)
        self.seen[fault] += happens
        return happens

    async def answer(self, body: bytes) -> tuple[int, bytes]:
        """Status and body for a request."""
        self.seen["requests"] += 1
        fault = next((one for one in REQUEST_FAULTS if self._happens(one)), None)
        is_passed_on = fault not in {"drop_request", "html"} and (
            fault not in {"429", "503"} or self._random.random() < 0.5
        )
        if fault == "delay":
            await asyncio.sleep(LONG_S * self._random.random())
        said = await self._passed_on(body) if is_passed_on else b""
        if fault == "twice":
            said = await self._passed_on(body)
        return await self._spoilt(fault, said)

    async def _spoilt(self, fault: str | None, said: bytes) -> tuple[int, bytes]:
        if fault in {"drop_request", "drop_reply"}:
            raise Dropped
        if fault == "hang":
            await asyncio.sleep(TOO_LONG_S)
            raise Dropped
        if fault in {"429", "503"}:
            return int(fault), b""
        if fault == "html":
            return 200, PAGE
        if fault == "half":
            return 200, said[: len(said) // 2]
        if fault == "wrong_id":
            return 200, _with_other_ids(said)
        return 200, said

    async def _passed_on(self, body: bytes) -> bytes:
        asked = json.loads(body)
        questions = asked if isinstance(asked, list) else [asked]
        own: dict[int, dict[str, Any]] = {}
        forwarded: list[dict[str, Any]] = []
        for place, question in enumerate(questions):
            found = await self._lie(question)
            if found is None:
                forwarded.append(await self._aged(question))
            else:
                own[place] = found
        answers = await self._ask(forwarded)
        outcomes = [own[place] if place in own else answers.pop(0) for place in range(len(questions))]
        checked = [await self._bent(question, one) for question, one in zip(questions, outcomes, strict=True)]
        return json.dumps(checked if isinstance(asked, list) else checked[0]).encode()

    async def _ask(self, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not questions:
            return []
        found = (await self._http.post("", json=questions)).json()
        by_id = {one["id"]: one for one in found}
        return [by_id[question["id"]] for question in questions]

    async def _lie(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """An answer of our own to signed bytes; None: the node is asked."""
        if question["method"] != "eth_sendRawTransaction":
            return None
        if await self._is_too_cheap(question["params"][0]):
            self.seen["refused replacement"] += 1
            return _error(question, "replacement transaction underpriced")
        for fault, words in (
            ("known", "already known"),
            ("nonce_low", "nonce too low"),
            ("underpriced", "replacement transaction underpriced"),
            ("refused", "exceeds block gas limit"),
        ):
            if self._happens(fault):
                if fault not in {"underpriced", "refused"} and self._random.random() < 0.5:
                    await self._ask([question])
                return _error(question, words)
        if self._happens("forgotten"):
            return {"jsonrpc": "2.0", "id": question["id"], "result": "0x" + "00" * 32}
        return None

    async def _is_too_cheap(self, raw: str) -> bool:
        """geth's rule: both fees at least 10 % above those of a waiting transaction of the same nonce."""
        from eth_account import Account
        from eth_account.typed_transactions import TypedTransaction
        from eth_utils import keccak
        from hexbytes import HexBytes

        data = HexBytes(raw)
        tx_hash = "0x" + keccak(data).hex()
        fields = TypedTransaction.from_bytes(data).as_dict()
        sender = str(Account.recover_transaction(data)).lower()
        place, fee, tip = (sender, fields["nonce"]), fields["maxFeePerGas"], fields["maxPriorityFeePerGas"]
        before = self._pending.get(place)
        is_other = before is not None and before[0] != tx_hash and await self._waits(before[0])
        if before is not None and is_other and (fee * 10 < before[1] * 11 or tip * 10 < before[2] * 11):
            return True
        self._pending[place] = (tx_hash, fee, tip)
        return False

    async def _waits(self, tx_hash: str) -> bool:
        question = {"jsonrpc": "2.0", "id": 1, "method": "eth_getTransactionByHash", "params": [tx_hash]}
        (found,) = await self._ask([question])
        return bool(found.get("result")) and found["result"].get("blockNumber") is None

    async def _aged(self, question: dict[str, Any]) -> dict[str, Any]:
        """Sometimes ``latest`` is a block of a while ago."""
        params = question.get("params") or []
        if question["method"] not in AGEING or "latest" not in params or not self._happens("stale"):
            return question
        (newest,) = await self._ask([{"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}])
        old = hex(max(0, int(newest["result"], 16) - STALE_BLOCKS))
        return question | {"params": [old if one == "latest" else one for one in params]}

    async def _bent(self, question: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
        if question["method"] == "eth_getTransactionReceipt" and said.get("result"):
            if self._happens("no_receipt"):
                return said | {"result": None}
            if self._happens("other_receipt"):
                other = "0x" + self._random.randbytes(32).hex()
                number = hex(max(0, int(said["result"]["blockNumber"], 16) - 1))
                return said | {"result": said["result"] | {"blockHash": other, "blockNumber": number}}
            if self._happens("forged"):
                return said | {"result": said["result"] | {"status": "0x0"}}
        return said


def _error(question: dict[str, Any], words: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": question["id"], "error": {"code": -32000, "message": words}}


def _with_other_ids(said: bytes) -> bytes:
    found = json.loads(said)
    for one in found if isinstance(found, list) else [found]:
        one["id"] = one["id"] + 1_000_000
    return json.dumps(found).encode()


class Door:
    """HTTP/1.1, just enough of it, with connections that may be cut."""

    def __init__(self, proxy: FaultyRpc) -> None:
        self._proxy = proxy

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests of one connection until somebody ends it."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                sizes = [line.partition(":")[2] for line in head if line.lower().startswith("content-length:")]
                body = await reader.readexactly(int(sizes[0])) if sizes else b""
                status, said = await self._answer(head[0], body)
                kind = b"text/html" if said is PAGE else b"application/json"
                writer.write(
                    b"HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (status, kind, len(said))
                )
                writer.write(said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, Dropped, httpx.HTTPError):
            pass
        finally:
            writer.close()

    async def _answer(self, line: str, body: bytes) -> tuple[int, bytes]:
        method, path, _ = line.split(" ", 2)
        if path == "/faults":
            if method == "POST":
                self._proxy.rates = json.loads(body)
            return 200, json.dumps(self._proxy.seen).encode()
        return await self._proxy.answer(body)


async def serve(upstream: str, port: int, seed: int, rates: dict[str, float]) -> None:
    """Serve until ended."""
    door = Door(FaultyRpc(upstream, seed, rates))
    server = await asyncio.start_server(door.serve, "127.0.0.1", port, limit=2**26)
    async with server:
        await server.serve_forever()


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", type=int, default=20_261_123)
    parser.add_argument("--rates", type=json.loads, default=MIX, help="JSON object; default: a mix of all")
    given = parser.parse_args()
    asyncio.run(serve(given.upstream, given.port, given.seed, given.rates))


if __name__ == "__main__":
    main()
