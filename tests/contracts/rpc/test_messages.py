"""What is an answer, and what is none."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.client.rpc import messages
from contracts.client.rpc.errors import Answered, Indeterminate

pytestmark = pytest.mark.unit
WHO = "https://node.example"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def test_encoded__single_and_batch__are_what_the_standard_says() -> None:
    one = json.loads(messages.encoded({7: ("eth_call", ({}, "latest"))}, is_batch=False))
    assert one == {"jsonrpc": "2.0", "id": 7, "method": "eth_call", "params": [{}, "latest"]}
    assert json.loads(messages.encoded({7: ("a", ()), 8: ("b", ())}, is_batch=True))[1]["id"] == 8


@pytest.mark.parametrize("result", [None, "0x", {"a": 1}, [], False, 0])
def test_read_one__result_of_any_kind__is_given(result: Any) -> None:
    assert messages.read_one(json.dumps({"jsonrpc": "2.0", "id": 3, "result": result}).encode(), 3, WHO) == result


def test_read_one__error_null_beside_a_result__is_the_result() -> None:
    assert messages.read_one(b'{"jsonrpc":"2.0","id":1,"result":"0x1","error":null}', 1, WHO) == "0x1"


def test_read_one__nodes_own_error__has_code_message_and_data() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"execution reverted","data":"0x73c6ac6e"}}'
    with pytest.raises(Answered, match="execution reverted") as caught:
        messages.read_one(body, 1, WHO)
    assert (caught.value.code, caught.value.data, caught.value.endpoint) == (3, "0x73c6ac6e", WHO)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!DOCTYPE html><html><body>502</body></html>",
        b'{"jsonrpc":"2.0","id":1,"resu',
        b'{"jsonrpc":"2.0","id":2,"result":"0x1"}',
        b'{"jsonrpc":"2.0","id":"1","result":"0x1"}',
        b'{"jsonrpc":"2.0","id":true,"result":"0x1"}',
        b'{"jsonrpc":"1.0","id":1,"result":"0x1"}',
        b'{"id":1,"result":"0x1"}',
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":1,"error":"no"}',
        b'{"jsonrpc":"2.0","id":1,"error":{"message":"no code"}}',
        b'[{"jsonrpc":"2.0","id":1,"result":"0x1"}]',
        b"[" * 100_000,
        b"\xff\xfe",
        b'"0x1"',
    ],
)
def test_read_one__anything_else__is_indeterminate(body: bytes) -> None:
    with pytest.raises(Indeterminate) as caught:
        messages.read_one(body, 1, WHO)
    assert caught.value.kind == "malformed"


def test_read_one__limit_exceeded_as_an_error__is_the_doors_word_and_not_the_nodes() -> None:
    with pytest.raises(Indeterminate) as caught:
        messages.read_one(b'{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"limit exceeded"}}', 1, WHO)
    assert caught.value.kind == "throttled"


@given(JSON)
def test_read_one__any_json__is_a_result_or_one_of_two_errors(found: Any) -> None:
    with contextlib.suppress(Answered, Indeterminate):
        messages.read_one(json.dumps(found).encode(), 1, WHO)


@given(st.binary(max_size=200))
def test_read_one__any_bytes__never_fail_otherwise(body: bytes) -> None:
    with pytest.raises((Answered, Indeterminate)):
        messages.read_one(b"?" + body, 1, WHO)


def _answers(*items: Any) -> bytes:
    return json.dumps([{"jsonrpc": "2.0", **item} if isinstance(item, dict) else item for item in items]).encode()


def test_read_many__out_of_order_missing_twice_and_foreign__each_question_has_its_own_outcome() -> None:
    body = _answers(
        {"id": 4, "result": "d"},
        {"id": 1, "result": "a"},
        {"id": 2, "error": {"code": -32000, "message": "nonce too low"}},
        {"id": 99, "result": "x"},
        {"id": 5, "result": "one"},
        {"id": 5, "result": "other"},
        {"id": 1, "result": "a"},
        "noise",
    )
    found = messages.read_many(body, (1, 2, 3, 4, 5), WHO)
    assert (found[1], found[4]) == ("a", "d")
    assert isinstance(found[2], Answered)
    assert isinstance(found[3], Indeterminate)
    assert isinstance(found[5], Indeterminate)
    assert list(found) == [1, 2, 3, 4, 5]


def test_read_many__refused_as_a_whole__is_the_nodes_word() -> None:
    with pytest.raises(Answered):
        messages.read_many(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no batches"}}', (1,), WHO)


@pytest.mark.parametrize("body", [b'{"jsonrpc":"2.0","id":1,"result":1}', b"3", b"null", b"<html>", b'[{"jso'])
def test_read_many__no_list__is_indeterminate(body: bytes) -> None:
    with pytest.raises(Indeterminate):
        messages.read_many(body, (1,), WHO)
