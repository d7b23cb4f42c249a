"""JSON-RPC 2.0 as text: questions written, answers read and doubted.

Belongs here: the form of messages. Does not belong here: sending them (endpoint.py).
Anything that is not exactly an answer to what was asked is indeterminate: half a JSON, a page of HTML, another id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from contracts.client.rpc.errors import Answered, Indeterminate

Question = tuple[str, Sequence[Any]]
# EIP-1474 "limit exceeded" and what providers use beside it: the node's door spoke, not the node.
_THROTTLED = frozenset({-32005, -32029, 429})


def written(method: str, params: Sequence[Any], number: int) -> dict[str, Any]:
    """One question."""
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


def encoded(questions: Mapping[int, Question], *, is_batch: bool) -> bytes:
    """The body of a request."""
    found = [written(method, params, number) for number, (method, params) in questions.items()]
    return json.dumps(found if is_batch else found[0], separators=(",", ":")).encode()


def _parsed(body: bytes, endpoint: str) -> Any:
    try:
        # Not json: that counts depth by Python's recursion limit, which py_ecc sets to 100,000, far past the stack's end.
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        start = body[:200].lstrip().lower()
        what = "a page of HTML" if start.startswith((b"<!doctype", b"<html")) else "no whole JSON"
        raise Indeterminate(f"answered with {what}", kind="malformed", endpoint=endpoint) from None


def read_one(body: bytes, number: int, endpoint: str) -> Any:
    """The result of a single question.

    Raises:
        Answered: The node's own error.
        Indeterminate: Anything that is not the answer to this question.
    """
    found = _parsed(body, endpoint)
    outcome = _outcome(found, endpoint)
    if found.get("id") != number or isinstance(found.get("id"), bool):
        raise Indeterminate("answered another question", kind="malformed", endpoint=endpoint)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def read_many(body: bytes, numbers: Sequence[int], endpoint: str) -> dict[int, Any]:
    """The outcome of each question of a batch: a result, Answered or Indeterminate.

    Raises:
        Answered: The node refused the batch as a whole.
        Indeterminate: There is no list in the answer.
    """
    found = _parsed(body, endpoint)
    if isinstance(found, dict):
        outcome = _outcome(found, endpoint)
        raise outcome if isinstance(outcome, Exception) else _odd(endpoint)
    if not isinstance(found, list):
        raise _odd(endpoint)
    outcomes: dict[int, Any] = {}
    for item in found:
        number = item.get("id") if isinstance(item, dict) else None
        if type(number) is not int or number not in numbers:
            continue
        outcome = _tried(item, endpoint)
        is_second = number in outcomes and not _alike(outcomes[number], outcome)
        outcomes[number] = _odd(endpoint, "answered twice, each time otherwise") if is_second else outcome
    missing = "left a question of a batch without an answer"
    return {number: outcomes[number] if number in outcomes else _odd(endpoint, missing) for number in numbers}


def _tried(item: Any, endpoint: str) -> Any:
    try:
        return _outcome(item, endpoint)
    except Indeterminate as error:
        return error


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, Answered) and isinstance(other, Answered):
        return (one.code, one.message) == (other.code, other.message)
    return bool(one == other)


def _outcome(found: Any, endpoint: str) -> Any:
    """The result, or the node's error as a value."""
    if not isinstance(found, dict) or found.get("jsonrpc") != "2.0":
        raise _odd(endpoint)
    error = found.get("error")
    if error is None:
        if "result" not in found:
            raise _odd(endpoint, "answered with neither result nor error")
        return found["result"]
    code = error.get("code") if isinstance(error, dict) else None
    if type(code) is not int or not isinstance(error.get("message"), str):
        raise _odd(endpoint, "answered with an error of no known form")
    if code in _THROTTLED:
        raise Indeterminate("asks for fewer requests", kind="throttled", endpoint=endpoint)
    return Answered(code, error["message"], error.get("data"), endpoint=endpoint)


def _odd(endpoint: str, what: str = "answered with no JSON-RPC") -> Indeterminate:
    return Indeterminate(what, kind="malformed", endpoint=endpoint)
