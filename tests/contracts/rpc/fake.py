"""Endpoints without sockets: each host answers as its script says, and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from contracts.client.chains import CHAINS
from contracts.client.rpc.pool import Rpc

CHAIN = CHAINS["anvil"]
Script = Callable[[dict[str, Any]], Any]


class Raw:
    """An answer that is sent as it stands."""

    def __init__(self, body: bytes | str, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.body = body.encode() if isinstance(body, str) else body
        self.status = status
        self.headers = headers or {}


class Refusal:
    """The node's own error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        self.error = {"code": code, "message": message} | ({} if data is None else {"data": data})


class Farm:
    """Several hosts. A script takes a question and gives a result, a Refusal, a Raw answer, or an exception to raise."""

    def __init__(self, chain_id: int = CHAIN.chain_id) -> None:
        self.scripts: dict[str, Script] = {}
        self.asked: list[tuple[str, str]] = []
        self.chain_ids: dict[str, int] = {}
        self._chain_id = chain_id

    def add(self, host: str, script: Script | Any, *, chain_id: int | None = None) -> str:
        """A host; returns its URL, which holds a key."""
        self.scripts[host] = script if callable(script) else lambda _question: script
        self.chain_ids[host] = chain_id or self._chain_id
        return f"https://{host}.example/v1/key-of-{host}"

    def rpc(self, *urls: str, **options: Any) -> Rpc:
        """A pool over hosts."""
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._carry))
        return Rpc(urls, CHAIN, http=client, **options)

    def methods(self, host: str) -> list[str]:
        """What a host was asked, without the question for its chain."""
        return [method for name, method in self.asked if name == host and method != "eth_chainId"]

    def _carry(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host.partition(".")[0]
        asked = json.loads(request.content)
        if isinstance(asked, list):
            answers = [self._one(host, question) for question in asked]
            raw = next((answer for answer in answers if isinstance(answer, Raw)), None)
            return _sent(raw) if raw is not None else httpx.Response(200, json=answers)
        answer = self._one(host, asked)
        return _sent(answer) if isinstance(answer, Raw) else httpx.Response(200, json=answer)

    def _one(self, host: str, question: dict[str, Any]) -> Any:
        self.asked.append((host, question["method"]))
        head = {"jsonrpc": "2.0", "id": question["id"]}
        if question["method"] == "eth_chainId":
            return head | {"result": hex(self.chain_ids[host])}
        found = self.scripts[host](question)
        if isinstance(found, Exception):
            raise found
        if isinstance(found, Raw):
            return found
        return head | ({"error": found.error} if isinstance(found, Refusal) else {"result": found})


def _sent(answer: Raw) -> httpx.Response:
    return httpx.Response(answer.status, content=answer.body, headers=answer.headers)
