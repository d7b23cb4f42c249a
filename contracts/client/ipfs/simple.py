"""The simple calls through ``ipfshttpclient`` 0.7.0, where it still works with current Kubo.

It is made without its version check, which refuses every node since 2020. Not used through it: adding (it sends
``raw-leaves=false`` with CIDv1, which gives other identifiers), ``swarm.connect`` (it sends each character as an argument),
``object.*`` (gone from Kubo), remote pins (it has none): for those there is the client beside it (node).
It blocks: call it from a thread.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from contracts.client.ipfs.kubo import NOT_RUNNING
from nexus.errors import NexusError, invalid, unavailable
from nexus.settings import Settings

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class Facts:
    """What a node says of itself."""

    version: str
    peer_id: str
    peers: int
    pins: int
    size_bytes: int
    most_bytes: int


class SimpleIpfs:
    """A blocking client of one node.

    Args:
        url: Its RPC address.
        timeout_s: Patience with one call.
    """

    def __init__(self, url: str, *, timeout_s: float = 10.0) -> None:
        import ipfshttpclient

        self._url = url
        self._timeout_s = timeout_s
        self._client = ipfshttpclient.Client(multiaddress(url), session=True, timeout=timeout_s)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The node of this platform.

        Raises:
            NexusError: category ``unavailable`` where there is none.
        """
        if settings.web3.ipfs_url is None:
            raise unavailable("no IPFS node is running", remedy=NOT_RUNNING)
        return cls(settings.web3.ipfs_url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def facts(self) -> Facts:
        """What the node says of itself.

        Raises:
            NexusError: category ``unavailable``.
        """
        with self._said():
            stored = self._client.repo.stat()
            return Facts(
                version=str(self._client.version()["Version"]),
                peer_id=str(self._client.id()["ID"]),
                peers=len(self._client.swarm.peers().get("Peers") or ()),
                pins=len(self._client.pin.ls(type="recursive").get("Keys") or {}),
                size_bytes=int(stored["RepoSize"]),
                most_bytes=int(stored["StorageMax"]),
            )

    def json(self, cid: str) -> Any:
        """A small JSON document.

        Raises:
            NexusError: category ``unavailable``.
        """
        with self._said():
            return self._client.get_json(cid)

    def links(self, cid: str) -> dict[str, str]:
        """The names in a directory and what they stand for.

        Raises:
            NexusError: category ``unavailable``.
        """
        with self._said():
            (listed,) = self._client.ls(cid)["Objects"]
            return {str(link["Name"]): str(link["Hash"]) for link in listed["Links"]}

    @contextmanager
    def _said(self) -> Iterator[None]:
        from ipfshttpclient.exceptions import Error

        try:
            with warnings.catch_warnings():  # the library passes urllib3 a word that it no longer needs
                warnings.filterwarnings("ignore", category=FutureWarning, module="urllib3")
                yield
        except Error as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> NexusError:
        return unavailable(
            f"the IPFS node at {self._url} does not answer as it should ({type(error).__name__})", remedy=NOT_RUNNING
        )


def multiaddress(url: str) -> str:
    """An address as the library writes them, as in ``/ip4/127.0.0.1/tcp/5001/http``.

    Raises:
        NexusError: category ``invalid``: it is no address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise invalid(
            "not an address of an IPFS node", field="web3.ipfs_url", value=url, remedy="give http://HOST:PORT"
        )
    host = parts.hostname
    kind = "ip6" if ":" in host else "ip4" if host.replace(".", "").isdigit() else "dns"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"/{kind}/{host}/tcp/{port}/{parts.scheme}"
