"""One remote pinning service (Pinning Service API 1.0.0, frozen): pins found before they are made, pages, retries.

Belongs here: requests to one service and what its answers mean. Does not belong here: k of n, health (pins).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import httpx
import orjson

from contracts.client.ipfs.identifiers import same
from contracts.client.ipfs.kubo import bounded
from nexus.errors import Category, NexusError, invalid, unavailable
from nexus.settings import PinService

Status = Literal["queued", "pinning", "pinned", "failed"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
NAME_LENGTH: Final = 255
_PAGE: Final = 1000
_MOST_PAGES: Final = 1000
_MOST_ORIGINS: Final = 20
_BODY_BYTES: Final = 8 * 1024 * 1024
_BETTER: Final[dict[str, int]] = {"pinned": 0, "pinning": 1, "queued": 2, "failed": 3}
_LONGEST_WAIT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class RemotePin:
    """A pin as its service tells of it."""

    request_id: str
    status: Status
    cid: str
    name: str | None
    created: str
    delegates: tuple[str, ...]


class PinningService:
    """A client of one service.

    Args:
        service: Its name, address and token.
        http: The client to use.
        timeout_s: Patience with one request.
        tries: How often a request is made before it counts as failed.
        pause_s: The first pause between tries; doubled each time.
    """

    def __init__(
        self,
        service: PinService,
        http: httpx.AsyncClient,
        *,
        timeout_s: float = 20.0,
        tries: int = 4,
        pause_s: float = 0.5,
    ) -> None:
        if not service.url.startswith(("https://", "http://")):
            raise invalid(
                "not an address", field="web3.pin_services.url", value=service.url, remedy="give https://HOST/PATH"
            )
        self.name = service.name
        self._url = service.url.rstrip("/")
        self._token = service.token
        self._http = http
        self._timeout_s = timeout_s
        self._tries = tries
        self._pause_s = pause_s

    async def pin(self, cid: str, *, name: str | None = None, origins: Sequence[str] = ()) -> RemotePin:
        """Ask for a pin, unless the service has one: the same content twice is one pin.

        Args:
            cid: What.
            name: For people, at the service.
            origins: Addresses of nodes that have it.

        Raises:
            NexusError: category ``forbidden`` for a token that is refused, ``invalid`` for what the service will never
                take, ``unavailable``.
        """
        body = {"cid": cid, "origins": list(origins)[:_MOST_ORIGINS]} | ({"name": name[:NAME_LENGTH]} if name else {})
        for attempt in range(self._tries):
            found = await self.find(cid)
            if found is not None and found.status != "failed":
                return found
            try:
                return self._read(await self._once("POST", "/pins", body=body), cid)
            except NexusError as error:
                if not error.retryable or attempt + 1 == self._tries:
                    raise
                await self._pause(
                    attempt, error
                )  # nobody knows whether it was taken: it is looked up before the next try
        raise unavailable(f"{self.name} takes no pin", remedy="try later")

    async def find(self, cid: str) -> RemotePin | None:
        """The best pin of this content, whatever its state; None where there is none."""
        found = [pin async for pin in self.list(cid=cid) if same(pin.cid, cid)]
        return min(found, key=lambda pin: _BETTER[pin.status], default=None)

    async def look(self, request_id: str, cid: str) -> RemotePin:
        """How a pin stands.

        Raises:
            NexusError: category ``not_found`` where the service forgot it; as :meth:`pin`.
        """
        return self._read(await self._retried("GET", f"/pins/{request_id}"), cid)

    async def list(self, *, cid: str | None = None, statuses: Sequence[Status] = STATUSES) -> AsyncIterator[RemotePin]:
        """Pins in these states, newest first, page after page.

        Raises:
            NexusError: as :meth:`pin`.
        """
        params: dict[str, str] = {"status": ",".join(statuses), "limit": str(_PAGE if cid is None else 10)}
        if cid is not None:
            params["cid"] = cid
        seen: set[str] = set()
        for _ in range(_MOST_PAGES):
            page = await self._retried("GET", "/pins", params=params)
            pins = [self._read(one, None) for one in page.get("results") or ()]
            fresh = [pin for pin in pins if pin.request_id not in seen]
            for pin in fresh:
                seen.add(pin.request_id)
                yield pin
            if not fresh or int(page.get("count", 0)) <= len(pins):
                return
            params["before"] = min(pin.created for pin in pins)

    async def unpin(self, cid: str) -> int:
        """Remove every pin of this content, doubles too; says how many there were.

        Raises:
            NexusError: as :meth:`pin`.
        """
        found = [pin async for pin in self.list(cid=cid) if same(pin.cid, cid)]
        for pin in found:
            try:
                await self._retried("DELETE", f"/pins/{pin.request_id}")
            except NexusError as error:
                if error.category is not Category.NOT_FOUND:
                    raise
        return len(found)

    async def _retried(self, method: str, path: str, *, params: dict[str, str] | None = None) -> dict[str, Any]:
        for attempt in range(self._tries):
            try:
                return await self._once(method, path, params=params)
            except NexusError as error:
                if not error.retryable or attempt + 1 == self._tries:
                    raise
                await self._pause(attempt, error)
        raise unavailable(f"{self.name} does not answer", remedy="try later")

    async def _pause(self, attempt: int, error: NexusError) -> None:
        asked = error.evidence.get("retry_after_s") or 0.0
        pause = self._pause_s * 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311 spreads callers, guards nothing
        await asyncio.sleep(min(_LONGEST_WAIT_S, max(asked, pause)))

    async def _once(
        self, method: str, path: str, *, params: dict[str, str] | None = None, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._token.get_secret_value()}", "accept": "application/json"}
        try:
            async with self._http.stream(
                method, self._url + path, params=params, json=body, headers=headers, timeout=self._timeout_s
            ) as answer:
                raw = await bounded(answer, _BODY_BYTES)
        except httpx.HTTPError as error:
            raise self._away(type(error).__name__) from error
        found = _object(raw)
        if answer.is_success:
            if found is None and method != "DELETE":
                raise self._away(f"HTTP {answer.status_code} with an answer that is no JSON object")
            return found or {}
        raise self._refusal(answer, found, params or body)

    def _refusal(self, answer: httpx.Response, found: dict[str, Any] | None, sent: object) -> NexusError:
        status = answer.status_code
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return NexusError(
                f"the pinning service {self.name} refuses our token",
                category=Category.FORBIDDEN,
                field="web3.pin_services",
                value=self.name,
                remedy="give a token of that service that may pin",
            )
        if status == httpx.codes.NOT_FOUND:
            return NexusError(
                f"the pinning service {self.name} knows nothing under this address",
                category=Category.NOT_FOUND,
                field="web3.pin_services",
                value=self.name,
                remedy="look at the service's url; it ends before /pins",
            )
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR or found is None:
            wait = answer.headers.get("retry-after", "")
            return self._away(f"HTTP {status}", retry_after_s=float(wait) if wait.isdigit() else None)
        error = found.get("error") or {}
        reason = " ".join(str(error.get(name, "")) for name in ("reason", "details")) if isinstance(error, dict) else ""
        return invalid(
            f"the pinning service {self.name} refuses this (HTTP {status} {reason.strip()[:200]})",
            field="web3.pin_services",
            value=sent,
            remedy="look at your plan and quota at the service",
        )

    def _away(self, detail: str, **evidence: Any) -> NexusError:
        return unavailable(
            f"the pinning service {self.name}: {detail}", remedy="try later", service=self.name, **evidence
        )

    def _read(self, found: Any, cid: str | None) -> RemotePin:
        pin = found.get("pin") if isinstance(found, dict) else None
        if not isinstance(pin, dict) or found.get("status") not in STATUSES or not found.get("requestid"):
            raise self._away("an answer that is no pin status")
        if cid is not None and not same(str(pin.get("cid", "")), cid):
            raise self._away("an answer about other content than we asked for")
        delegates = tuple(map(str, found.get("delegates") or ()))[:_MOST_ORIGINS]
        name = pin.get("name")
        return RemotePin(
            str(found["requestid"]), found["status"], str(pin["cid"]), name, str(found.get("created", "")), delegates
        )


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
