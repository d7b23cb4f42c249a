"""Pins at several places: k of n before content counts as kept, and health that asks for blocks, not for promises.

Our own node counts as one. Belongs here: pinning everywhere, waiting, health. Does not belong here: the protocol of one
service (pinning_api), who answers a viewer's request (gateways).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx

from contracts.client.ipfs.identifiers import parse
from contracts.client.ipfs.node import Ipfs
from contracts.client.ipfs.pinning_api import PinningService, RemotePin, Status
from contracts.client.ipfs.refusals import Figures
from contracts.client.ipfs.sources import Gateway, NodeSource, Source
from contracts.client.ipfs.walking import random_leaf
from nexus.errors import Category, NexusError, invalid, unavailable
from nexus.settings import PinService, Settings

NODE: Final = "node"
WAIT_S: Final = 600.0
_POLL_S: Final = 0.2
_LONGEST_POLL_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Pin:
    """How one place stands with some content; ``status`` is None where it could not be asked."""

    service: str
    status: Status | None
    request_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """What one place says of some content, and whether a block of it, chosen by chance, was had there and verified.

    ``is_verified`` is None where there is no way to ask that place for blocks.
    """

    service: str
    status: Status | None
    is_verified: bool | None
    reason: str | None = None

    @property
    def is_well(self) -> bool:
        """Reported as pinned, and a verified block had."""
        return self.status == "pinned" and self.is_verified is True


class PinServices:
    """Our node and the remote services.

    Args:
        node: Our node; None where there is none.
        services: The remote ones.
        http: A client to use; by default one of our own.
        required: How many pins are enough where a caller does not say.
    """

    def __init__(
        self,
        node: Ipfs | None,
        services: Sequence[PinService] = (),
        *,
        http: httpx.AsyncClient | None = None,
        required: int = 1,
        figures: Figures | None = None,
    ) -> None:
        self._is_own = http is None
        self._http = http or httpx.AsyncClient(trust_env=False, follow_redirects=False)
        self._node = node
        self._settings = {service.name: service for service in services}
        self._services = {name: PinningService(service, self._http) for name, service in self._settings.items()}
        self._figures = figures or Figures()
        self.required = required
        if len(self._settings) != len(services) or NODE in self._settings:
            raise invalid(
                "two pinning services have the same name, or one is called node",
                field="web3.pin_services",
                value=[service.name for service in services],
                remedy="give each a name of its own",
            )

    @classmethod
    def of(cls, settings: Settings, node: Ipfs | None, *, figures: Figures | None = None) -> Self:
        """Those of this platform's settings."""
        web3 = settings.web3
        return cls(node, web3.pin_services, required=web3.pins_required, figures=figures)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        if self._is_own:
            await self._http.aclose()

    @property
    def places(self) -> tuple[str, ...]:
        """Who pins."""
        return ((NODE,) if self._node is not None else ()) + tuple(self._services)

    async def pin(
        self,
        cid: str,
        k: int | None = None,
        tell: Callable[[Sequence[Pin]], None] | None = None,
        *,
        name: str | None = None,
        wait_s: float = WAIT_S,
    ) -> list[Pin]:
        """Pin at every place, and come back when k of them say ``pinned``; the others go on by themselves.

        Args:
            cid: What.
            k: How many are enough; by default ``web3.pins_required``.
            tell: Called with how all places stand, whenever one changes.
            name: For people, at the services.
            wait_s: Patience.

        Raises:
            NexusError: category ``unavailable`` with what each place said, when k cannot be reached in time; asking
                again goes on where this ended. ``invalid`` where there are fewer than k places.
        """
        k = self.required if k is None else k
        parse(cid)
        if not 1 <= k <= len(self.places):
            raise invalid(
                f"{k} pins are asked for, and there are {len(self.places)} places that pin",
                field="web3.pins_required",
                value=k,
                remedy="name more services (web3.pin_services), or ask for fewer pins",
            )
        standing: dict[str, Pin] = {place: Pin(place, None) for place in self.places}
        enough = asyncio.Event()

        def note(pin: Pin) -> None:
            if standing[pin.service] != pin:
                standing[pin.service] = pin
                if tell is not None:
                    tell(list(standing.values()))
            if sum(one.status == "pinned" for one in standing.values()) >= k:
                enough.set()

        await self._until(enough, [self._pin_at(place, cid, name, note) for place in self.places], wait_s)
        pins = list(standing.values())
        if not enough.is_set():
            raise unavailable(
                f"pinned at {sum(pin.status == 'pinned' for pin in pins)} of {k} places: "
                + "; ".join(map(_said, pins)),
                remedy="ask again later, it goes on where it ended; bin/nexus ipfs health shows each place",
                cid=cid,
            )
        return pins

    async def health(self, cid: str, *, chance: random.Random | None = None) -> list[Health]:
        """Ask each place whether it keeps the content, and take a block of it, chosen by chance, from there."""
        parse(cid)
        chance = chance or random.Random()  # noqa: S311 a sample, no secret
        return list(await asyncio.gather(*(self._health_at(place, cid, chance) for place in self.places)))

    async def unpin(self, cid: str) -> None:
        """Let every place forget it.

        Raises:
            NexusError: the first place that could not be asked; the others were.
        """
        jobs = [service.unpin(cid) for service in self._services.values()]
        ours = [self._node.unpin(cid)] if self._node is not None else []
        done = await asyncio.gather(*jobs, *ours, return_exceptions=True)
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _until(self, enough: asyncio.Event, jobs: Sequence[Coroutine[Any, Any, None]], wait_s: float) -> None:
        tasks = [asyncio.create_task(job) for job in jobs]
        waiting = asyncio.create_task(enough.wait())
        try:
            async with asyncio.timeout(wait_s):
                everybody: asyncio.Future[Any] = asyncio.gather(*tasks)
                first: list[asyncio.Future[Any]] = [waiting, everybody]
                await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            pass  # the caller looks at what was reached
        finally:
            for task in (*tasks, waiting):
                task.cancel()
            await asyncio.gather(*tasks, waiting, return_exceptions=True)

    async def _pin_at(self, place: str, cid: str, name: str | None, note: Callable[[Pin], None]) -> None:
        try:
            if place == NODE and self._node is not None:
                await self._node.pin(cid)
                note(Pin(NODE, "pinned"))
                return
            service = self._services[place]
            pin = await service.pin(cid, name=name, origins=await self._origins())
            note(_as_pin(place, pin))
            poll_s = _POLL_S
            while pin.status in ("queued", "pinning"):
                await asyncio.sleep(poll_s)
                poll_s = min(_LONGEST_POLL_S, poll_s * 1.5)
                pin = await service.look(pin.request_id, cid)
                note(_as_pin(place, pin))
        except NexusError as error:
            note(Pin(place, None, None, error.message))

    async def _origins(self) -> tuple[str, ...]:
        if self._node is None:
            return ()
        try:
            return (await self._node.id()).addresses
        except NexusError:
            return ()  # a service finds it by itself, or not

    async def _health_at(self, place: str, cid: str, chance: random.Random) -> Health:
        try:
            status = await self._status_at(place, cid)
        except NexusError as error:
            return Health(place, None, None, error.message)
        source = self._source_of(place)
        if source is None:
            return Health(place, status, None, "its gateway is not named (web3.pin_services.gateway_url)")
        try:
            await random_leaf(parse(cid), lambda wanted, _: source.block(wanted), chance)
        except NexusError as error:
            reason = error.evidence.get("reason")
            if error.category is Category.UNAVAILABLE and reason in ("wrong_bytes", "html", "too_large"):
                self._figures.refused.labels(source.name, reason).inc()
            return Health(place, status, False, error.message)
        return Health(place, status, True)

    async def _status_at(self, place: str, cid: str) -> Status | None:
        if place == NODE and self._node is not None:
            return "pinned" if await self._node.is_pinned(cid) else None
        pin = await self._services[place].find(cid)
        return pin.status if pin is not None else None

    def _source_of(self, place: str) -> Source | None:
        if place == NODE and self._node is not None:
            return NodeSource(self._node, is_local=True)
        url = self._settings[place].gateway_url
        return Gateway(url, self._http, is_cached=True) if url else None


def _as_pin(place: str, pin: RemotePin) -> Pin:
    return Pin(place, pin.status, pin.request_id, "the service could not pin it" if pin.status == "failed" else None)


def _said(pin: Pin) -> str:
    return f"{pin.service}: {pin.reason or pin.status or 'no answer yet'}"
