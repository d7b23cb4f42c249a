"""One JSON-RPC endpoint: asking it, and knowing how well it is.

Belongs here: HTTP, what counts as no answer, health and back-off. Does not belong here: choosing among endpoints (pool.py).
A URL may hold an API key: outside of the request itself only scheme, host and port are ever told.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from contracts.client.rpc import messages
from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.rpc.limits import TokenBucket
from contracts.client.rpc.messages import Question

MAX_ANSWER_BYTES = 64_000_000
_FIRST_REST_S, _LONGEST_REST_S = 0.5, 30.0
_WRONG_CHAIN_REST_S = 60.0
_MOST_ASKED_PAUSE_S = 60.0
_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Health:
    """How an endpoint is. ``score`` is between 0 and 1, recent outcomes counting most."""

    endpoint: str
    state: str
    score: float
    latency_ms: float | None
    failures: int
    asked: int
    note: str | None


def shown(url: str) -> str:
    """A URL as it may be told: keys stand in paths, queries and before an @."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


class Endpoint:
    """One endpoint of a chain.

    Args:
        url: Where it answers.
        chain_id: The chain that it has to be of.
        http: The client that carries the requests.
        timeout_s: Patience with one answer, from the first byte sent to the last one read.
        per_second: Most questions a second.
        now: Clock, in seconds.
    """

    def __init__(
        self,
        url: str,
        chain_id: int,
        http: httpx.AsyncClient,
        *,
        timeout_s: float,
        per_second: float | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = shown(url)
        self.bucket = TokenBucket(per_second, now=now)
        self.takes_batches = True
        self.wrong_chain: int | None = None
        self._url = url
        self._chain_id = chain_id
        self._http = http
        self._timeout_s = timeout_s
        self._now = now
        self._is_proven = False
        self._score = 1.0
        self._latency_s: float | None = None
        self._failures = 0
        self._asked = 0
        self._resting_until = 0.0
        self._note: str | None = None

    @property
    def is_resting(self) -> bool:
        """Whether it failed lately, so that others are asked first."""
        return self._now() < self._resting_until

    @property
    def is_out(self) -> bool:
        """Whether it is of another chain and not to be asked now."""
        return self.wrong_chain is not None and self.is_resting

    @property
    def rank(self) -> tuple[bool, float, float]:
        """Sorts endpoints: those at work, then those whose rest ends first; better ones first."""
        wait_s = self._resting_until - self._now() if self.is_resting else 0.0
        return (self.is_resting, wait_s, -round(self._score, 1))

    def health(self) -> Health:
        """How it is."""
        state = "unknown" if not self._asked else "resting" if self.is_resting else "well"
        if self.wrong_chain is not None:
            state = "wrong chain"
        latency_ms = None if self._latency_s is None else round(self._latency_s * 1000, 1)
        return Health(self.name, state, round(self._score, 2), latency_ms, self._failures, self._asked, self._note)

    async def ask(self, number: int, question: Question) -> Any:
        """The result of one question.

        Raises:
            Answered: The node's own error.
            Indeterminate: Nobody knows what happened.
        """
        await self.prove()
        return await self._ask(number, question)

    async def ask_many(self, questions: Mapping[int, Question]) -> dict[int, Any]:
        """The outcome of each question of one batch: a result, Answered or Indeterminate.

        Raises:
            Answered: It refused the batch as a whole.
            Indeterminate: Nobody knows what happened to any of them.
        """
        await self.prove()
        body = messages.encoded(questions, is_batch=True)
        numbers = tuple(questions)
        outcomes: dict[int, Any] = await self._carry(
            body, len(questions), lambda said: messages.read_many(said, numbers, self.name)
        )
        return outcomes

    async def prove(self, *, is_anew: bool = False) -> None:
        """See that it is of our chain: before the first question, and again after it was away.

        Args:
            is_anew: Ask even when it was asked before.

        Raises:
            Indeterminate: It is of another chain, or does not answer.
        """
        if self._is_proven and not is_anew:
            return
        if self.is_out and not is_anew:
            raise self._of_another_chain()
        found = await self._ask(0, ("eth_chainId", ()))
        try:
            chain_id = int(found, 16)
        except (TypeError, ValueError):
            raise self._failed(Indeterminate("named no chain id", kind="malformed", endpoint=self.name)) from None
        if chain_id != self._chain_id:
            self._is_proven = False
            self.wrong_chain = chain_id
            error = self._failed(self._of_another_chain())
            self._resting_until = self._now() + _WRONG_CHAIN_REST_S
            raise error
        self.wrong_chain = None
        self._is_proven = True

    def _of_another_chain(self) -> Indeterminate:
        return Indeterminate(
            f"is of chain {self.wrong_chain}, not {self._chain_id}", kind="wrong chain", endpoint=self.name
        )

    async def _ask(self, number: int, question: Question) -> Any:
        body = messages.encoded({number: question}, is_batch=False)
        return await self._carry(body, 1, lambda said: messages.read_one(said, number, self.name))

    async def _carry(self, body: bytes, count: int, read: Callable[[bytes], Any]) -> Any:
        """Send a body, wait for the whole answer, read it, and remember how that went."""
        pause = self.bucket.wait_s()
        if pause > self._timeout_s:
            raise Indeterminate(f"is not asked for {pause:.0f} s", kind="throttled", endpoint=self.name)
        await self.bucket.pass_through(count)
        self._asked += 1
        began = self._now()
        try:
            async with asyncio.timeout(self._timeout_s):
                status, headers, said = await self._post(body)
            self._refuse_status(status, headers, said)
            found = read(said)
        except TimeoutError:
            said_s = f"no answer within {self._timeout_s:g} s"
            raise self._failed(Indeterminate(said_s, kind="timeout", endpoint=self.name)) from None
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            reason = f"cannot be reached ({type(error).__name__})"
            raise self._failed(Indeterminate(reason, kind="unreached", endpoint=self.name)) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = f"the connection was lost ({type(error).__name__})"
            raise self._failed(Indeterminate(reason, kind="lost", endpoint=self.name)) from None
        except Indeterminate as error:
            raise self._failed(error) from None
        except Answered:
            self._succeeded(self._now() - began)
            raise
        self._succeeded(self._now() - began)
        return found

    async def _post(self, body: bytes) -> tuple[int, httpx.Headers, bytes]:
        headers = {"Content-Type": "application/json"}
        async with self._http.stream("POST", self._url, content=body, headers=headers) as answer:
            parts, size = [], 0
            async for part in answer.aiter_bytes():
                parts.append(part)
                size += len(part)
                if size > MAX_ANSWER_BYTES:
                    raise Indeterminate(
                        f"answered with more than {MAX_ANSWER_BYTES} bytes", kind="malformed", endpoint=self.name
                    )
        return answer.status_code, answer.headers, b"".join(parts)

    def _refuse_status(self, status: int, headers: httpx.Headers, said: bytes) -> None:
        """Refuse what the door says in place of the node; some nodes give their own errors a status of 4xx."""
        if status == HTTPStatus.OK:
            return
        if status == HTTPStatus.TOO_MANY_REQUESTS or status == HTTPStatus.SERVICE_UNAVAILABLE:
            pause = _seconds(headers.get("retry-after"))
            kind: Any = "throttled" if status == HTTPStatus.TOO_MANY_REQUESTS else "status"
            raise Indeterminate(f"answered {status}", kind=kind, endpoint=self.name, retry_after_s=pause)
        is_own_error = 400 <= status < 500 and said.lstrip().startswith((b"{", b"[")) and b'"jsonrpc"' in said
        if not is_own_error:
            raise Indeterminate(f"answered {status}", kind="status", endpoint=self.name)

    def _succeeded(self, seconds: float) -> None:
        self._failures = 0
        self._resting_until = 0.0
        self._note = None
        self._score += _WEIGHT * (1.0 - self._score)
        before = seconds if self._latency_s is None else self._latency_s
        self._latency_s = before + _WEIGHT * (seconds - before)

    def _failed(self, error: Indeterminate) -> Indeterminate:
        """Remember a failure: a rest that doubles each time, and a proof that has to be given again."""
        self._failures += 1
        self._score *= 1.0 - _WEIGHT
        self._note = error.reason
        rest = min(_LONGEST_REST_S, _FIRST_REST_S * 2.0 ** min(self._failures - 1, 10))
        self._resting_until = self._now() + rest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads, protects nothing
        if error.kind in {"unreached", "lost"}:
            self._is_proven = False
        if error.kind == "throttled" or error.retry_after_s:
            self.bucket.close_for(error.retry_after_s or rest)
        return error


def _seconds(text: str | None) -> float | None:
    """``Retry-After`` in seconds; a date is left alone."""
    try:
        return min(_MOST_ASKED_PAUSE_S, max(0.0, float(text or "")))
    except ValueError:
        return None
