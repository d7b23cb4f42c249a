"""One JSON-RPC endpoint: asking it, and knowing how well it is.

Belongs here: HTTP, what counts as no answer. Does not belong here: back-off (health.py), choosing among endpoints (pool.py).
A URL may hold an API key: outside of the request itself only scheme, host and port are ever told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from contracts.client.rpc import messages
from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.rpc.health import Condition, Health
from contracts.client.rpc.limits import TokenBucket
from contracts.client.rpc.messages import Question

MAX_ANSWER_BYTES = 64_000_000
AT_ONCE = 16
_WRONG_CHAIN_REST_S = 60.0
_MOST_ASKED_PAUSE_S = 60.0


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
        self.condition = Condition(now)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._is_proven = False

    @property
    def is_out(self) -> bool:
        """Whether it is of another chain and not to be asked now."""
        return self.wrong_chain is not None and self.condition.is_resting

    def health(self) -> Health:
        """How it is."""
        return self.condition.health(self.name, is_wrong_chain=self.wrong_chain is not None)

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
        found = await self._ask(0, ("eth_chainId", ()), is_telling=False)
        try:
            chain_id = int(found, 16)
        except (TypeError, ValueError):
            raise self._failed(Indeterminate("named no chain id", kind="malformed", endpoint=self.name)) from None
        if chain_id != self._chain_id:
            self._is_proven = False
            self.wrong_chain = chain_id
            error = self._failed(self._of_another_chain())
            self.condition.rest_for(_WRONG_CHAIN_REST_S)
            raise error
        self.wrong_chain = None
        self._is_proven = True

    def _of_another_chain(self) -> Indeterminate:
        return Indeterminate(
            f"is of chain {self.wrong_chain}, not {self._chain_id}", kind="wrong chain", endpoint=self.name
        )

    async def _ask(self, number: int, question: Question, *, is_telling: bool = True) -> Any:
        body = messages.encoded({number: question}, is_batch=False)
        return await self._carry(
            body, 1, lambda said: messages.read_one(said, number, self.name), is_telling=is_telling
        )

    async def _carry(self, body: bytes, count: int, read: Callable[[bytes], Any], *, is_telling: bool = True) -> Any:
        """Send a body, wait for the whole answer, read it, and remember how that went."""
        pause = self.bucket.wait_s()
        if pause > self._timeout_s:
            raise Indeterminate(f"is not asked for {pause:.0f} s", kind="throttled", endpoint=self.name)
        await self.bucket.pass_through(count)
        await self._turn()
        try:
            return await self._carry_now(body, read, is_telling=is_telling)
        finally:
            self._turns.release()

    async def _turn(self) -> None:
        """So many questions at once; the client's own queue gets slow with the square of those who wait."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._turns.acquire()
        except TimeoutError:
            reason = f"no turn within {self._timeout_s:g} s"
            raise Indeterminate(reason, kind="unreached", endpoint=self.name) from None

    async def _carry_now(self, body: bytes, read: Callable[[bytes], Any], *, is_telling: bool) -> Any:
        """An answer to the question for its chain tells nothing of how well it does its work."""
        began = self.condition.began()
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
            self.condition.succeeded(began)
            raise
        if is_telling:
            self.condition.succeeded(began)
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

    def _failed(self, error: Indeterminate) -> Indeterminate:
        """Remember a failure: a rest, a proof that has to be given again, a pause that was asked for."""
        rest = self.condition.failed(error.reason)
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
