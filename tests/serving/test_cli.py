"""``nexus recommend`` says what is wrong and what to do."""

from __future__ import annotations

import httpx
import pytest
import typer
from typer.testing import CliRunner

from nexus.errors import NexusError
from serving import cli

pytestmark = pytest.mark.unit

ANSWER = {
    "items": [{"title": "Casino (1995)", "score": 1.25, "reason": {"text": "Because you watched Heat (1995)"}}],
    "source": "champion",
    "model_version": "3",
    "recommendation_id": "019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071",
}


@pytest.fixture
def app(monkeypatch) -> typer.Typer:
    monkeypatch.setenv("NEXUS_API__URL", "http://127.0.0.1:1")
    made = typer.Typer()
    made.callback()(lambda: None)
    cli.register(made)
    return made


def answering(monkeypatch, status: int, body: dict) -> None:
    monkeypatch.setattr(
        httpx, "get", lambda url, **_: httpx.Response(status, json=body, request=httpx.Request("GET", url))
    )


def test_recommend__known_viewer__prints_title_score_and_reason(app, monkeypatch) -> None:
    answering(monkeypatch, 200, ANSWER)
    result = CliRunner().invoke(app, ["recommend", "movielens:1"], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    for part in ("Casino (1995)", "1.250", "Because you watched Heat (1995)", "model 3", "nexus why 019a2b3c"):
        assert part in result.output


@pytest.mark.parametrize(
    ("user", "status", "body", "said"),
    [
        (
            "movielens:9",
            404,
            {"detail": "no such viewer", "field": "user", "value": "movielens:9", "remedy": "look"},
            "no such viewer",
        ),
        ("no id", 200, ANSWER, "neither a UUID nor issuer:value"),
    ],
)
def test_recommend__wrong_viewer__one_clear_error(app, monkeypatch, user, status, body, said) -> None:
    answering(monkeypatch, status, body)
    result = CliRunner().invoke(app, ["recommend", user], env={"COLUMNS": "200"})
    assert isinstance(result.exception, NexusError)
    assert said in str(result.exception)
    assert result.exception.remedy


def test_recommend__api_down__says_how_to_start_it(app, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(httpx, "get", refuse)
    result = CliRunner().invoke(app, ["recommend", "movielens:1"], env={"COLUMNS": "200"})
    assert isinstance(result.exception, NexusError)
    assert "bin/nexus up" in str(result.exception)
