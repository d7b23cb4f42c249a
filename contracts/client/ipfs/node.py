"""A thin asynchronous client of a Kubo node: what it adds is compared with our own identifiers, what it gives is hashed.

Belongs here: the commands that NEXUS needs, one method each. Does not belong here: HTTP (kubo), retrieval from several
sources (gateways), remote pins (pins).
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx

from contracts.client.ipfs import cids
from contracts.client.ipfs.building import CHUNK_BYTES, LINKS
from contracts.client.ipfs.identifiers import BLOCK_BYTES, CODECS, Cid, parse, same
from contracts.client.ipfs.kubo import NOT_RUNNING, Kubo, NodeError, bounded
from contracts.client.ipfs.refusals import Refused
from contracts.client.ipfs.uploads import Source, Upload
from nexus.errors import Category, NexusError, not_found, unavailable
from nexus.settings import Settings

PROFILE: Final[dict[str, str | int | bool]] = {
    "cid-version": 1,
    "hash": "sha2-256",
    "raw-leaves": True,
    "chunker": f"size-{CHUNK_BYTES}",
    "max-file-links": LINKS,
    "trickle": False,
    "inline": False,
    "nocopy": False,
    "wrap-with-directory": False,
    "preserve-mode": False,
    "preserve-mtime": False,
    "cid-base": "base32",
}
"""``unixfs-v1-2025`` in full, sent with every add: the defaults of a node are its owner's."""
ADD_S: Final = 3600.0
PIN_S: Final = 600.0
_JS: Final = "js-ipfs"


@dataclass(frozen=True, slots=True)
class Added:
    """What was added: its own bytes, and those of all its blocks."""

    cid: str
    size_bytes: int
    dag_bytes: int


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the node is."""

    peer_id: str
    agent: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repo:
    """What the node keeps."""

    size_bytes: int
    most_bytes: int
    objects: int


class Ipfs:
    """One IPFS node.

    Args:
        url: Its RPC address.
        http: A client to use; by default one of our own, closed by :meth:`close`.
        timeout_s: Patience with one command; adding and pinning have more.
    """

    def __init__(self, url: str, *, http: httpx.AsyncClient | None = None, timeout_s: float = 30.0) -> None:
        self._kubo = Kubo(url, http=http, timeout_s=timeout_s)
        self.url = self._kubo.url
        self.name = "node"

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The node of this platform.

        Raises:
            NexusError: category ``unavailable`` where there is none.
        """
        if settings.web3.ipfs_url is None:
            raise unavailable("no IPFS node is running", remedy=NOT_RUNNING)
        return cls(settings.web3.ipfs_url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._kubo.close()

    async def add(
        self,
        source: Source,
        tell: Callable[[int], None] | None = None,
        *,
        is_pinned: bool = True,
        timeout_s: float = ADD_S,
    ) -> Added:
        """Add one file; it streams, and is hashed here as it passes.

        Args:
            source: A file, bytes, or a stream.
            tell: Called with the bytes sent so far.
            is_pinned: Keep it from being collected.
            timeout_s: Patience with the whole.

        Raises:
            NexusError: category ``conflict`` when the file changed meanwhile; ``internal`` when the node's identifier is
                not ours; ``unavailable``.
        """
        upload = Upload(source, tell)
        params = PROFILE | {"pin": is_pinned, "progress": False, "quieter": True}
        last: dict[str, Any] = {}
        async for line in self._kubo.lines("add", params, timeout_s=timeout_s, content=upload.body(), kind=upload.kind):
            last = line
        root = upload.root()
        self._compare(str(root.cid), str(last.get("Hash", "")))
        return Added(str(root.cid), upload.size, root.tsize)

    async def add_block(self, data: bytes, *, is_pinned: bool = True) -> str:
        """Add one raw block of at most 1 MiB.

        Raises:
            NexusError: it is too large; the node's identifier is not ours; ``unavailable``.
        """
        cid = cids.raw_cid(data)
        await self.put_block(parse(cid), data, is_pinned=is_pinned)
        return cid

    async def put_block(self, cid: Cid, data: bytes, *, is_pinned: bool = False) -> None:
        """Give the node a block that we made.

        Raises:
            NexusError: the node's identifier is not ours; ``unavailable``.
        """
        codec = CODECS[cid.codec]
        try:
            found = await self._put({"cid-codec": codec, "mhlen": -1, "pin": is_pinned}, data)
        except NodeError:
            if not (await self.id()).agent.startswith(_JS):
                raise
            found = await self._put({"format": codec, "version": 1, "pin": is_pinned}, data)  # its older words
        self._compare(str(cid), str(found.get("Key", "")))

    async def _put(self, params: dict[str, str | int | bool], data: bytes) -> dict[str, Any]:
        upload = Upload(data)
        return await self._kubo.call(
            "block/put", {"mhtype": "sha2-256"} | params, content=upload.body(), kind=upload.kind
        )

    async def block(self, cid: str | Cid, *, is_local: bool = False, timeout_s: float | None = None) -> bytes:
        """One block, its hash checked.

        Args:
            cid: Which.
            is_local: Only if the node has it already.
            timeout_s: Patience.

        Raises:
            NexusError: category ``not_found`` where the node has and finds none; ``timeout``, ``unavailable``.
            Refused: the node gave other bytes.
        """
        wanted = parse(cid) if isinstance(cid, str) else cid
        try:
            async with self._kubo.stream(
                "block/get", {"arg": str(wanted), "offline": is_local}, timeout_s=timeout_s
            ) as answer:
                data = await bounded(answer, BLOCK_BYTES)
        except NodeError as error:
            raise not_found(
                "the IPFS node has no such block", field="cid", value=wanted, remedy="ask gateways too (web3.gateways)"
            ) from error
        if not wanted.belongs_to(data):
            raise Refused(self.name, "wrong_bytes", f"{len(data)} bytes that do not hash to {wanted}")
        return data

    async def cat(self, cid: str, *, most_bytes: int = 64 * CHUNK_BYTES, timeout_s: float | None = None) -> bytes:
        """The bytes of a file, as the node puts them together (their length is compared, blocks are not hashed here).

        Raises:
            NexusError: it is too large, cut off or not there; ``timeout``, ``unavailable``.
        """
        parse(cid)
        async with self._kubo.stream("cat", {"arg": cid}, timeout_s=timeout_s) as answer:
            length = answer.headers.get("x-content-length")
            data = await bounded(answer, most_bytes)
        if length is not None and int(length) != len(data):
            raise unavailable(f"the node stopped after {len(data)} of {length} bytes", remedy="try again")
        return data

    async def pin(self, cid: str, *, timeout_s: float = PIN_S) -> None:
        """Keep all beneath an identifier; what the node lacks it fetches.

        Raises:
            NexusError: it cannot be had within the time, or ``unavailable``.
        """
        parse(cid)
        async for _ in self._kubo.lines(
            "pin/add", {"arg": cid, "recursive": True, "progress": True}, timeout_s=timeout_s
        ):
            pass

    async def unpin(self, cid: str) -> None:
        """Keep it no longer; nothing happens where it was not pinned."""
        if await self.is_pinned(cid):
            await self._kubo.call("pin/rm", {"arg": cid, "recursive": True})

    async def is_pinned(self, cid: str) -> bool:
        """Whether the node keeps all beneath this identifier."""
        parse(cid)
        try:
            found = await self._kubo.call("pin/ls", {"arg": cid, "type": "recursive"})
        except NodeError:
            return False  # the node's one answer for "no"
        return bool(found.get("Keys"))

    async def dag_export(self, cid: str, *, timeout_s: float = ADD_S) -> AsyncGenerator[bytes, None]:
        """All beneath an identifier as a CAR, unchecked: read it with ``car`` and ``walking`` before it is trusted."""
        parse(cid)
        async with self._kubo.stream("dag/export", {"arg": cid, "progress": False}, timeout_s=timeout_s) as answer:
            async for piece in answer.aiter_bytes():
                yield piece

    async def dag_import(self, car: AsyncIterable[bytes] | bytes, *, is_pinned: bool = True) -> tuple[str, ...]:
        """Take the blocks of a CAR; the answer is its roots.

        Raises:
            NexusError: it is damaged, a root is missing, or ``unavailable``.
        """
        upload, roots = Upload(car), []
        params = {"pin-roots": is_pinned, "stats": False, "allow-big-block": False}
        async for line in self._kubo.lines(
            "dag/import", params, timeout_s=ADD_S, content=upload.body(), kind=upload.kind
        ):
            root = line.get("Root", {})
            if root.get("PinErrorMsg"):
                raise unavailable(
                    f"the node cannot pin a root of the CAR: {root['PinErrorMsg']}", remedy="give a whole CAR"
                )
            roots.append(str(root.get("Cid", {}).get("/", "")))
        return tuple(roots)

    async def id(self) -> Identity:
        """Who the node is and where its peers find it."""
        found = await self._kubo.call("id", timeout_s=5.0)
        return Identity(
            str(found.get("ID", "")), str(found.get("AgentVersion", "")), tuple(map(str, found.get("Addresses") or ()))
        )

    async def version(self) -> str:
        """The node's version."""
        return str((await self._kubo.call("version", timeout_s=5.0)).get("Version", ""))

    async def repo(self) -> Repo:
        """How much the node keeps, and may."""
        found = await self._kubo.call("repo/stat")
        return Repo(*(int(found.get(name, 0)) for name in ("RepoSize", "StorageMax", "NumObjects")))

    async def connect(self, address: str) -> None:
        """Meet another node at its address (a multiaddr with ``/p2p/``).

        Raises:
            NexusError: it cannot be reached.
        """
        await self._kubo.call("swarm/connect", {"arg": address})

    def _compare(self, ours: str, theirs: str) -> None:
        if not same(ours, theirs):
            raise NexusError(
                "the node calls this content otherwise than we do, so it is not trusted",
                category=Category.INTERNAL,
                field="cid",
                value=json.dumps({"ours": ours, "the node's": theirs}),
                remedy="use Kubo 0.40 or newer (web3.ipfs_url); js-ipfs builds files over 174 MiB otherwise",
            )
