"""The grammar of EIP-4361: what is taken, what is refused, and that each text has one reading."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nexus.errors import NexusError
from serving.wallets import evm, siwe

pytestmark = pytest.mark.unit

ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
PLAIN = siwe.Message(
    domain="127.0.0.1:8788",
    address=ADDRESS,
    uri="http://127.0.0.1:8788",
    chain_id="31337",
    nonce="8qZ1mYv0bT5xKc2R",
    issued_at="2026-01-31T20:15:00Z",
)
FULL = replace(
    PLAIN,
    scheme="https",
    statement="I accept the Terms of Service: https://service.org/tos",
    expiration_time="2026-01-31T20:25:00.123456789+01:00",
    not_before="2026-01-31T20:15:00Z",
    request_id="some%20id",
    resources=("ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/", "urn:nexus:viewer:1"),
)
# The example of the standard's own text.
OF_THE_STANDARD = """example.com wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2

I accept the ExampleOrg Terms of Service: https://example.com/tos

URI: https://example.com/login
Version: 1
Chain ID: 1
Nonce: 32891756
Issued At: 2021-09-30T16:25:24Z
Resources:
- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/
- https://example.com/my-web2-claim.json"""
UNRESERVED = st.sampled_from("abcXYZ019-._~")
STATEMENTS = st.text(st.sampled_from("abc XYZ019-._~:/?#[]@!$&'()*+,;="), min_size=1, max_size=80)
URIS = st.builds(
    lambda scheme, host, path: f"{scheme}://{host}/{path}",
    st.sampled_from(["http", "https", "ipfs", "a+b-c.d"]),
    st.text(UNRESERVED, min_size=1, max_size=20),
    st.text(st.sampled_from("abc019-._~!$&'()*+,;=:@/"), max_size=30),
) | st.sampled_from(["urn:nexus:viewer:1", "mailto:a@b", "http://[::1]:80/?q=/?#f", "a:", "a:/x//y", "http://h?%41"])
TIMES = st.datetimes().map(lambda at: f"{at.replace(microsecond=0).isoformat()}Z") | st.sampled_from(
    ["2026-01-31T20:15:00.5+05:30", "2026-02-28T23:59:59.999999999-11:59"]
)
MESSAGES = st.builds(
    siwe.Message,
    domain=st.sampled_from(["example.com", "localhost:8788", "[::1]:8788", "a.b.c", "user@host", "127.0.0.1"]),
    address=st.binary(min_size=20, max_size=20).map(lambda raw: evm.checksum("0x" + raw.hex())),
    uri=URIS,
    chain_id=st.integers(0, 10**19).map(str),
    nonce=st.text(st.sampled_from("abcXYZ019"), min_size=8, max_size=40),
    issued_at=TIMES,
    scheme=st.none() | st.sampled_from(["https", "http"]),
    statement=st.none() | STATEMENTS,
    expiration_time=st.none() | TIMES,
    not_before=st.none() | TIMES,
    request_id=st.none() | st.text(st.sampled_from("abc019-._~:@!$"), max_size=20),
    resources=st.none() | st.lists(URIS, max_size=4).map(tuple),
)


@given(MESSAGES)
@example(PLAIN)
@example(FULL)
def test_parse__any_message__reads_what_was_written(message: siwe.Message) -> None:
    assert siwe.parse(str(message)) == message


def test_parse__example_of_the_standard__is_read() -> None:
    message = siwe.parse(OF_THE_STANDARD)
    assert (message.domain, message.chain_id, message.nonce) == ("example.com", "1", "32891756")
    assert message.statement == "I accept the ExampleOrg Terms of Service: https://example.com/tos"
    assert message.resources is not None
    assert len(message.resources) == 2
    assert str(message) == OF_THE_STANDARD


@given(MESSAGES, st.data())
def test_parse__one_character_changed__is_refused_or_read_as_it_stands(message: siwe.Message, data) -> None:
    text = str(message)
    place = data.draw(st.integers(0, len(text)))
    kind = data.draw(st.sampled_from(["insert", "delete", "replace"]))
    other = data.draw(st.sampled_from("\n\r\t \x00aA0:-é\u202e\u2028%"))
    tail = text[place:] if kind == "insert" else text[place + 1 :]
    changed = text[:place] + ("" if kind == "delete" else other) + tail
    read = refused = None
    try:
        read = siwe.parse(changed)
    except NexusError as error:
        refused = error.field
    assert refused == "message" or str(read) == changed


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))
def test_parse__any_text__never_fails_otherwise(text: str) -> None:
    with pytest.raises(NexusError, match="EIP-4361"):
        siwe.parse(text)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (" wants you", "  wants you"),
        (ADDRESS, ADDRESS.lower()),
        (ADDRESS, ADDRESS.upper().replace("X", "x", 1)),
        ("Version: 1", "Version: 2"),
        ("Version: 1", "Version: 01"),
        ("Chain ID: 31337", "Chain ID: 0x7a69"),
        ("Chain ID: 31337", "Chain ID: -1"),
        ("Nonce: 8qZ1mYv0bT5xKc2R", "Nonce: short77"),
        ("Nonce: 8qZ1mYv0bT5xKc2R", "Nonce: 8qZ1mYv0-bT5xKc2R"),
        ("2026-01-31T20:15:00Z", "2026-02-30T20:15:00Z"),
        ("2026-01-31T20:15:00Z", "2026-01-31 20:15:00Z"),
        ("2026-01-31T20:15:00Z", "2026-01-31T20:15:00"),
        ("2026-01-31T20:15:00Z", "2026-01-31T20:15:60Z"),
        ("2026-01-31T20:15:00Z", "2026-01-31T20:15:00Z\n"),
        ("URI: http://127.0.0.1:8788", "URI: 127.0.0.1"),
        ("URI: http://127.0.0.1:8788", "URI: http://127.0.0.1:8788 "),
        ("\n", "\r\n"),
        ("Issued At", "Issued at"),
        ("127.0.0.1:8788 wants", " wants"),
    ],
)
def test_parse__departs_from_the_grammar__is_refused(was: str, becomes: str) -> None:
    text = str(PLAIN)
    assert was in text
    with pytest.raises(NexusError) as caught:
        siwe.parse(text.replace(was, becomes))
    assert (caught.value.field, caught.value.status) == ("message", 422)
    assert caught.value.remedy


def test_parse__two_statements__the_second_is_no_field() -> None:
    text = str(replace(PLAIN, statement="one")).replace("one\n", "one\nURI: http://evil\n")
    with pytest.raises(NexusError):
        siwe.parse(text)


@pytest.mark.parametrize("filler", ["a", "%41", "/", ":", "@", "a:", "\n- a:b"])
def test_parse__long_and_nearly_right__answers_at_once(filler: str) -> None:
    text = str(replace(FULL, uri="http://h/"))[: -len("urn:nexus:viewer:1")]
    for made in (text + filler * ((siwe.LONGEST - len(text)) // len(filler)) + " ", filler * siwe.LONGEST):
        with pytest.raises(NexusError):
            siwe.parse(made)
