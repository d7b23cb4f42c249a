"""Several endpoints of one chain as one: reads go on to the next, transactions go to all, what matters is asked twice.

Belongs here: whom to ask, in which order, and what is made of several answers.
Does not belong here: HTTP (endpoint.py), what a method means (each wrapper of a contract; transactions/).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import httpx

from contracts.client.chains import Chain, chain_of
from contracts.client.rpc.endpoint import Endpoint
from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.rpc.health import Health
from contracts.client.rpc.messages import Question
from contracts.client.rpc.votes import ballot, unwrapped
from nexus.errors import Category, NexusError

if TYPE_CHECKING:
    from nexus.settings import Settings

__all__ = ["Answered", "Indeterminate", "Rpc"]
BATCH = 200
_TOGETHER = 16
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
# Doing these twice does more than doing them once. Signed bytes are not among them: they count once, however often sent.
_ONCE = ("eth_sendTransaction", "eth_newFilter", "evm_", "anvil_", "hardhat_", "miner_", "personal_")


class Rpc:
    """The endpoints of a chain.

    Args:
        urls: Where they answer, the preferred first.
        chain: The chain that all of them have to be of.
        http: A client of one's own, which is then left open; None: one is made.
        timeout_s: Patience with one answer.
        per_second: Most questions a second to each endpoint.
    """

    def __init__(
        self,
        urls: Sequence[str],
        chain: Chain,
        *,
        http: httpx.AsyncClient | None = None,
        timeout_s: float = 10,
        per_second: float | None = None,
    ) -> None:
        if not urls:
            raise no_endpoint()
        # It logs whole URLs at INFO, and ours may hold keys.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self.chain = chain
        self._own = None if http is not None else _client(urls, timeout_s)
        carrier = http or self._own
        assert carrier is not None  # noqa: S101 - one of the two is there
        self._endpoints = [
            Endpoint(url, chain.chain_id, carrier, timeout_s=timeout_s, per_second=per_second) for url in urls
        ]
        self._numbers = itertools.count(1)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those of the settings.

        Raises:
            NexusError: category ``unavailable`` when there are none.
        """
        urls = [url.get_secret_value() for url in settings.web3.rpc_urls]
        return cls(urls, chain_of(settings), per_second=settings.web3.rpc_per_second)

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """Let the connections go."""
        if self._own is not None:
            await self._own.aclose()

    def health(self) -> list[Health]:
        """How each endpoint is, in the order in which they were given."""
        return [endpoint.health() for endpoint in self._endpoints]

    async def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """Ask the best endpoint, and the next one when nobody knows what became of that.

        Raises:
            Answered: The node's own error.
            Indeterminate: No endpoint gave an answer; the reason is the last one's.
        """
        for endpoint, is_last in self._order(method):
            try:
                return await endpoint.ask(next(self._numbers), (method, params))
            except Indeterminate:
                if is_last:
                    raise
        raise Indeterminate("there is no endpoint to ask", kind="unreached")

    def _order(self, method: str) -> list[tuple[Endpoint, bool]]:
        """Whom to ask, in turn; a single one is asked once more, because a kept connection may have gone stale."""
        order = sorted(self._endpoints, key=lambda endpoint: endpoint.condition.rank)
        order = [endpoint for endpoint in order if not endpoint.is_out] or order
        if method.startswith(_ONCE):
            order = order[:1]
        elif len(order) == 1:
            order = order * 2
        return [(endpoint, number == len(order)) for number, endpoint in enumerate(order, start=1)]

    async def quorum(
        self,
        method: str,
        params: Sequence[Any] = (),
        agree: int = 2,
        *,
        by: Callable[[Any], Any] | None = None,
    ) -> Any:
        """Ask all at once; the first answer that enough of them gave. With fewer endpoints, all of them.

        Args:
            method: What to ask.
            params: Its arguments.
            agree: How many have to say the same.
            by: What of an answer has to be the same; None: all of it (of blocks and receipts: what identifies them).

        Raises:
            Answered: The same error of as many nodes.
            Indeterminate: Too few answered, or they do not agree.
        """
        needed = min(agree, len(self._endpoints))
        votes: dict[str, list[Any]] = {}
        last: Indeterminate | None = None
        tasks = [asyncio.ensure_future(self._vote(endpoint, method, params)) for endpoint in self._endpoints]
        try:
            for done in asyncio.as_completed(tasks):
                said = await done
                if isinstance(said, Indeterminate):
                    last = said
                    continue
                same = votes.setdefault(ballot(method, said, by), [])
                same.append(said)
                if len(same) >= needed:
                    return unwrapped(same[0])
        finally:
            for task in tasks:
                task.cancel()
        if len(votes) > 1:
            raise Indeterminate(f"the endpoints do not agree about {method}", kind="disagreement")
        kind = last.kind if last is not None else "unreached"
        raise Indeterminate(f"fewer than {needed} endpoints answered ({last})", kind=kind)

    async def _vote(self, endpoint: Endpoint, method: str, params: Sequence[Any]) -> Any:
        try:
            return await endpoint.ask(next(self._numbers), (method, params))
        except (Answered, Indeterminate) as error:
            return error

    async def everywhere(self, method: str, params: Sequence[Any] = ()) -> list[Any | Exception]:
        """Ask all at once, those that failed lately too; one outcome per endpoint, in their order."""
        return list(await asyncio.gather(*(self._vote(one, method, params) for one in self._endpoints)))

    async def batch(self, questions: Sequence[Question]) -> list[Any | Answered | Indeterminate]:
        """Ask many questions in few requests; one outcome per question, in their order. It does not raise for one."""
        outcomes: list[Any] = []
        for start in range(0, len(questions), BATCH):
            outcomes += await self._batch(questions[start : start + BATCH])
        return outcomes

    async def _batch(self, questions: Sequence[Question]) -> list[Any]:
        """One request's worth; what stays unanswered goes on to the next endpoint."""
        outcomes: list[Any] = [Indeterminate("was not asked", kind="unreached")] * len(questions)
        open_places = list(range(len(questions)))
        is_once = any(method.startswith(_ONCE) for method, _ in questions)
        for endpoint, _ in self._order("anvil_" if is_once else ""):
            found = await self._from(endpoint, [questions[place] for place in open_places])
            for place, outcome in zip(open_places, found, strict=True):
                outcomes[place] = outcome
            open_places = [place for place in open_places if isinstance(outcomes[place], Indeterminate)]
            if not open_places:
                break
        return outcomes

    async def _from(self, endpoint: Endpoint, questions: Sequence[Question]) -> list[Any]:
        numbered = {next(self._numbers): question for question in questions}
        if endpoint.takes_batches:
            try:
                return list((await endpoint.ask_many(numbered)).values())
            except Indeterminate as error:
                return [error] * len(questions)
            except Answered:  # this node takes no batches, or none so big
                endpoint.takes_batches = False
        turn = asyncio.Semaphore(_TOGETHER)

        async def one(number: int, question: Question) -> Any:
            async with turn:
                try:
                    return await endpoint.ask(number, question)
                except (Answered, Indeterminate) as error:
                    return error

        return list(await asyncio.gather(*(one(number, question) for number, question in numbered.items())))

    async def check(self) -> list[str]:
        """Ask every endpoint for its chain; one of another chain is put out.

        Returns:
            What is wrong, one line per endpoint that is of another chain or does not answer.

        Raises:
            NexusError: ``invalid`` when all that answer are of another chain, ``unavailable`` when none answers.
        """
        found = await asyncio.gather(*(_proof(endpoint) for endpoint in self._endpoints))
        wrong = [error for error in found if error is not None]
        if len(wrong) < len(self._endpoints):
            return [str(error) for error in wrong]
        others = [error for error in wrong if error.kind == "wrong chain"]
        if others:
            raise NexusError(
                f"the endpoint is of another chain: {others[0]} ({self.chain.name})",
                field="web3.rpc_urls",
                value=others[0].endpoint,
                remedy="give a URL of the chain in web3.chain, or change web3.chain",
                chain_id=self.chain.chain_id,
            )
        raise NexusError(
            f"the chain {self.chain.name} does not answer: {wrong[0]}",
            category=Category.UNAVAILABLE,
            field="web3.rpc_urls",
            value=wrong[0].endpoint,
            remedy="see bin/nexus status and bin/nexus logs chain, or check the URL",
        )


async def _proof(endpoint: Endpoint) -> Indeterminate | None:
    """None for an endpoint of our chain, else what is wrong with it."""
    try:
        await endpoint.prove(is_anew=True)
    except Indeterminate as error:
        return error
    except Answered as error:
        return Indeterminate(f"does not tell its chain: {error}", kind="malformed", endpoint=endpoint.name)
    return None


def _client(urls: Sequence[str], timeout_s: float) -> httpx.AsyncClient:
    """Connections are kept; a proxy of the environment is used unless every endpoint is on this machine."""
    is_local = all((urlsplit(url).hostname or "") in _LOOPBACK for url in urls)
    is_secured = any(urlsplit(url).scheme == "https" for url in urls)  # else no store of certificates is read: 30 ms
    return httpx.AsyncClient(
        timeout=httpx.Timeout(timeout_s, connect=min(5.0, timeout_s)),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=20.0),
        trust_env=not is_local,
        follow_redirects=False,
        verify=is_secured,
    )


def no_endpoint() -> NexusError:
    """The error for a platform without a chain."""
    return NexusError(
        "the chain has no address",
        category=Category.UNAVAILABLE,
        field="web3.rpc_urls",
        remedy="run bin/nexus up --with web3, or set NEXUS_WEB3__RPC_URLS",
    )
