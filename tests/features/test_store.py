"""Configuration of Feast, without a server."""

from __future__ import annotations

import json

import pytest

from features.store import redis_connection
from nexus.errors import NexusError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("redis://127.0.0.1:7000/0", {"db": 0}),
        ("redis://:12345@127.0.0.1:7000/3", {"db": 3, "password": "12345"}),
        ("rediss://me:p%40ss@127.0.0.1:7000", {"ssl": True, "username": "me", "password": "p@ss"}),
    ],
)
def test_redis_connection__url__keeps_every_part(dsn, expected):
    host, *options = redis_connection(dsn).split(",")
    found = {name: json.loads(value) for name, value in (option.split("=", 1) for option in options)}
    assert host == "127.0.0.1:7000"
    assert found.items() >= expected.items()


def test_redis_connection__comma_in_password__is_refused_without_showing_it():
    with pytest.raises(NexusError) as caught:
        redis_connection("redis://:a,b@127.0.0.1:7000/0")
    assert "a,b" not in str(caught.value)
