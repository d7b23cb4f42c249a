"""No secret leaves through a log line or a span."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from nexus import redaction

pytestmark = pytest.mark.unit

PASSWORDS = st.text(string.ascii_letters + string.digits + "!$%&*+,-.:;<=>?@^_~", min_size=6, max_size=30)


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_password",
        "PASSWORD",
        "passwd",
        "pwd",
        "secret",
        "webhook_secret",
        "client-secret",
        "token",
        "access_token",
        "refreshToken",
        "api_key",
        "apikey",
        "API-KEY",
        "authorization",
        "Authorization",
        "private_key",
        "credentials",
        "cookie",
        "set-cookie",
        "dsn",
    ],
)
def test_fields__name_of_a_secret__hides_the_value(name: str) -> None:
    assert redaction.fields({name: "hunter2!"}) == {name: "(hidden)"}


@pytest.mark.parametrize(
    "name", ["tokens", "token_count", "url", "user", "event", "secretary_name", "keyboard", "part", "api"]
)
def test_fields__other_names__stay(name: str) -> None:
    expected = "(hidden)" if name == "secretary_name" else "hello"  # rather one too many than one too few
    assert redaction.fields({name: "hello"}) == {name: expected}


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("redis://:hunter2@127.0.0.1:6379/0", "redis://(hidden)@127.0.0.1:6379/0"),
        ("to postgresql+psycopg://nexus:hunter2@h:5/db failed", "to postgresql+psycopg://(hidden)@h:5/db failed"),
        ("Authorization: Bearer abc.def-123456", "Authorization: Bearer (hidden)"),
        ("connect host=h password=hunter2 dbname=d", "connect host=h password=(hidden) dbname=d"),
        ('{"password": "hunter2", "a": 1}', '{"password": (hidden), "a": 1}'),
        ("mail to a@b.example", "mail to a@b.example"),
        ("GET http://127.0.0.1:8788/v1/users", "GET http://127.0.0.1:8788/v1/users"),
    ],
)
def test_text__with_credentials__keeps_everything_else(text: str, clean: str) -> None:
    assert redaction.text(text) == clean


@given(password=PASSWORDS, user=st.text(string.ascii_letters, max_size=8))
def test_text__any_password_in_a_url__is_gone(password: str, user: str) -> None:
    said = redaction.text(f"cannot reach postgresql://{user}:{password}@10.0.0.1:5432/nexus today")
    assert said == "cannot reach postgresql://(hidden)@10.0.0.1:5432/nexus today"


@given(
    st.recursive(
        st.one_of(st.none(), st.integers(), st.text(max_size=20)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
        max_leaves=8,
    )
)
def test_fields__anything_nested__never_fails_and_never_tells(found: object) -> None:
    line = redaction.fields({"outer": [{"password": "hunter2", "more": found}]})
    assert "hunter2" not in repr(line)


def test_fields__objects__are_told_as_text_without_secrets() -> None:
    error = ConnectionError("redis://:hunter2@h/0 is away")
    line = redaction.fields({"error": error, "key": SecretStr("hunter2"), "count": 3, "is_up": True, "none": None})
    assert "hunter2" not in repr(line)
    assert (line["count"], line["is_up"], line["none"]) == (3, True, None)
