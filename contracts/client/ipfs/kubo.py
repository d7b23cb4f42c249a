"""How a command of a Kubo node is called over HTTP: always POST, always with a time limit, errors told apart.

Belongs here: requests, streams and what their failures mean. Does not belong here: the commands (node).
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import orjson

from nexus.errors import Category, NexusError, invalid, unavailable

Params = Mapping[str, str | int | bool]
NOT_RUNNING: Final = "bin/nexus up --with web3 starts one, or set web3.ipfs_url to your own"
_GRACE_S: Final = 5.0
_LINE_BYTES: Final = 1024 * 1024
_ERROR_BYTES: Final = 64 * 1024


class NodeError(NexusError):
    """The node's own answer that it cannot do this (its reason is in the message)."""


class Kubo:
    """One node's RPC address.

    Args:
        url: As in ``http://127.0.0.1:15001``.
        http: A client to use; by default one of our own, closed by :meth:`close`.
        timeout_s: Patience with a command that names none.
    """

    def __init__(self, url: str, *, http: httpx.AsyncClient | None = None, timeout_s: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise invalid(
                "not an address of an IPFS node", field="web3.ipfs_url", value=url, remedy="give http://HOST:PORT"
            )
        self.url = url.rstrip("/")
        self.timeout_s = timeout_s
        self._is_own = http is None
        self._http = http or httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=16))

    async def close(self) -> None:
        """Let go of the connections."""
        if self._is_own:
            await self._http.aclose()

    async def call(
        self,
        command: str,
        params: Params | None = None,
        *,
        timeout_s: float | None = None,
        content: Any = None,
        kind: str = "",
    ) -> dict[str, Any]:
        """Call a command that answers with one JSON object.

        Raises:
            NodeError: the node refuses.
            NexusError: category ``unavailable`` or ``timeout``.
        """
        async with self.stream(command, params, timeout_s=timeout_s, content=content, kind=kind) as answer:
            body = await bounded(answer, _LINE_BYTES)
        return _object(body, self.url)

    async def lines(
        self,
        command: str,
        params: Params | None = None,
        *,
        timeout_s: float | None = None,
        content: Any = None,
        kind: str = "",
    ) -> AsyncIterator[dict[str, Any]]:
        """Call a command that answers with a JSON object a line.

        Raises:
            NodeError: the node refuses, at once or in the middle.
            NexusError: category ``unavailable`` or ``timeout``.
        """
        async with self.stream(command, params, timeout_s=timeout_s, content=content, kind=kind) as answer:
            async for line in answer.aiter_lines():
                if line.strip():
                    found = _object(line.encode(), self.url)
                    if found.get("Type") == "error":
                        raise _refusal(self.url, command, str(found.get("Message", "")))
                    yield found

    @asynccontextmanager
    async def stream(
        self,
        command: str,
        params: Params | None = None,
        *,
        timeout_s: float | None = None,
        content: AsyncIterable[bytes] | bytes | None = None,
        kind: str = "",
    ) -> AsyncIterator[httpx.Response]:
        """Call a command and read its answer as it comes.

        Raises:
            NodeError: the node refuses.
            NexusError: category ``unavailable`` or ``timeout``.
        """
        patience = timeout_s or self.timeout_s
        query = {name: _written(value) for name, value in (params or {}).items()} | {"timeout": f"{patience:g}s"}
        headers = {"content-type": kind} if kind else {}
        limit = httpx.Timeout(patience + _GRACE_S, connect=min(patience, 5.0))
        try:
            async with self._http.stream(
                "POST", f"{self.url}/api/v0/{command}", params=query, content=content, headers=headers, timeout=limit
            ) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise _refusal(self.url, command, _message(await bounded(answer, _ERROR_BYTES)), answer.status_code)
                yield answer
        except httpx.TimeoutException as error:
            raise NexusError(
                f"the IPFS node did not answer within {patience:g} s",
                category=Category.TIMEOUT,
                remedy="bin/nexus ipfs health shows how it does",
                command=command,
                url=self.url,
            ) from error
        except httpx.HTTPError as error:
            raise unavailable(
                f"the IPFS node at {self.url} cannot be reached ({type(error).__name__})",
                remedy=NOT_RUNNING,
                command=command,
            ) from error


async def bounded(answer: httpx.Response, most: int) -> bytes:
    """The body of an answer.

    Raises:
        NexusError: category ``unavailable`` where it is larger than allowed.
    """
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > most:
            raise unavailable(
                f"an answer of more than {most} bytes", remedy="look at what answers there", url=str(answer.url)
            )
    return bytes(body)


def _written(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _object(body: bytes, url: str) -> dict[str, Any]:
    try:
        found = orjson.loads(body or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise unavailable(
            f"what answers at {url} is no IPFS node", remedy="give the RPC address (web3.ipfs_url), not the gateway's"
        )
    return found


def _message(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["Message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace").strip()


def _refusal(url: str, command: str, message: str, status: int = httpx.codes.INTERNAL_SERVER_ERROR) -> NexusError:
    if status != httpx.codes.INTERNAL_SERVER_ERROR:
        return unavailable(
            f"what answers at {url} is no IPFS node, or one that lets us not in (HTTP {status})",
            remedy="give the RPC address (web3.ipfs_url), not the gateway's",
            command=command,
        )
    return NodeError(
        f"the IPFS node refuses {command}: {message}",
        category=Category.UNAVAILABLE,
        remedy="bin/nexus ipfs health shows how it does",
        command=command,
        reason=message,
    )
