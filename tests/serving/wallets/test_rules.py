"""A message has to be the one that was asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from nexus.db.wallets import Nonce
from nexus.errors import NexusError
from serving.wallets import rules, siwe

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 31, 20, 15, tzinfo=UTC)
USER = UUID(int=7)
HOST = "127.0.0.1:8788"
ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
ASKED = Nonce(
    "8qZ1mYv0bT5xKc2R", ADDRESS.lower(), USER, HOST, f"http://{HOST}", 31337, NOW, NOW + timedelta(minutes=10)
)
MESSAGE = siwe.Message(
    domain=HOST,
    address=ADDRESS,
    uri=f"http://{HOST}",
    chain_id="31337",
    nonce=ASKED.nonce,
    issued_at="2026-01-31T20:15:00Z",
    resources=(f"urn:nexus:viewer:{USER}",),
)


def check(message: siwe.Message = MESSAGE, asked: Nonce = ASKED, **more) -> None:
    rules.check(message, asked, **({"domain": HOST, "chain_id": 31337, "now": NOW} | more))


def test_check__as_asked__passes() -> None:
    check()
    check(replace(MESSAGE, scheme="http", expiration_time="2026-01-31T20:15:01Z", not_before="2026-01-31T20:15:00Z"))
    check(replace(MESSAGE, resources=None), replace(ASKED, user_id=None))
    check(replace(MESSAGE, resources=(*MESSAGE.resources, "https://other/thing")))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"domain": "evil.example"}, "domain"),
        ({"scheme": "https"}, "scheme"),
        ({"uri": "http://evil.example"}, "uri"),
        ({"chain_id": "1"}, "chain_id"),
        ({"chain_id": "031337"}, "chain_id"),
        ({"address": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"}, "address"),
        ({"resources": None}, "resources"),
        ({"resources": (f"urn:nexus:viewer:{UUID(int=8)}",)}, "resources"),
        ({"resources": (f"URN:NEXUS:viewer:{USER}",)}, "resources"),
        ({"resources": (f"urn:nexus:viewer:{USER}", f"urn:nexus:viewer:{UUID(int=8)}")}, "resources"),
        ({"issued_at": "2026-01-31T20:10:00Z"}, "issued_at"),
        ({"issued_at": "2026-01-31T20:20:00Z"}, "issued_at"),
        ({"expiration_time": "2026-01-31T20:15:00Z"}, "expiration_time"),
        ({"not_before": "2026-01-31T20:15:01Z"}, "not_before"),
    ],
)
def test_check__message_for_something_else__is_forbidden_by_name(changes: dict, field: str) -> None:
    with pytest.raises(NexusError) as caught:
        check(replace(MESSAGE, **changes))
    assert (caught.value.field, caught.value.status) == (field, 403)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"domain": "localhost:8788"}, "domain"),
        ({"chain_id": 1}, "chain_id"),
        ({"now": NOW + timedelta(minutes=10)}, "nonce"),
    ],
)
def test_check__here_and_now_differ__is_forbidden(more: dict, field: str) -> None:
    with pytest.raises(NexusError) as caught:
        check(**more)
    assert (caught.value.field, caught.value.status) == (field, 403)


def test_check__viewer_where_none_was_asked_for__is_forbidden() -> None:
    with pytest.raises(NexusError, match="no viewer"):
        check(asked=replace(ASKED, user_id=None))


@pytest.mark.parametrize("host", ["127.0.0.1:8788", "localhost", "[::1]:8788", "LOCALHOST:1"])
def test_domain__this_machine__is_taken(host: str) -> None:
    assert rules.domain_of(host, None) == host


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "192.168.0.2:8788", "a@localhost"]
)
def test_domain__elsewhere__is_refused_with_the_setting_to_use(host: str) -> None:
    with pytest.raises(NexusError) as caught:
        rules.domain_of(host, None)
    assert "NEXUS_WEB3__DOMAIN" in str(caught.value.remedy)


def test_domain__configured__takes_that_one_only() -> None:
    assert rules.domain_of("films.example", "films.example") == "films.example"
    with pytest.raises(NexusError):
        rules.domain_of("127.0.0.1:8788", "films.example")
