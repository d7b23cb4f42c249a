"""``nexus mint`` on a platform that mints, and on one that does not answer."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from nexus.errors import Category, NexusError
from serving import cli
from tests.serving.live_web3 import Minting

OWNER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.callback()(lambda: None)
    cli.register(made)
    return made


@pytest.mark.integration
def test_mint__a_title__is_followed_and_ends_with_its_proof(app, minting: Minting, monkeypatch) -> None:
    monkeypatch.setenv("NEXUS_API__URL", minting.url)
    content_id = minting.title("Heat")
    done = CliRunner().invoke(app, ["mint", content_id, "--to", OWNER, "--royalty-bps", "250"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    for words in (
        "title checked",
        "pinned on IPFS",
        "block final",
        "ed25519 signature holds",
        OWNER,
        "ipfs://",
        "/ipfs/",
    ):
        assert words in done.output
    again = CliRunner().invoke(app, ["mint", content_id, "--json"])
    token, _ = json.JSONDecoder().raw_decode(again.stdout[again.stdout.index("{\n") :])  # the API logs beside it
    assert (token["owner"], token["royalty_bps"], token["content_id"]) == (OWNER, 250, content_id)
    assert token["proof"]["is_valid"] is True
    assert len(minting.anvil.transfers(token["contract"], token["token_id"])) == 1


@pytest.mark.integration
@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["00000000-0000-4000-8000-000000000000"], "content"),
        (["no id"], "content"),
        (["TITLE", "--royalty-bps", "10001"], "--royalty-bps"),
        (["TITLE", "--to", "0x" + "0" * 40], "--to"),
        (["TITLE", "--to", "vitalik.eth"], "--to"),
    ],
)
def test_mint__bad_input__names_the_option(app, minting: Minting, monkeypatch, words, field) -> None:
    monkeypatch.setenv("NEXUS_API__URL", minting.url)
    words = [minting.title("Heat") if word == "TITLE" else word for word in words]
    failed = CliRunner().invoke(app, ["mint", *words]).exception
    assert isinstance(failed, NexusError)
    assert failed.field == field
    assert failed.remedy


@pytest.mark.unit
def test_mint__api_away__says_how_to_start_it(app, monkeypatch) -> None:
    import httpx

    def refuse(*_: object, **__: object) -> None:
        raise httpx.ConnectError("refused")

    monkeypatch.setenv("NEXUS_API__URL", "http://127.0.0.1:1")
    monkeypatch.setattr(httpx, "request", refuse)
    failed = CliRunner().invoke(app, ["mint", "movielens:1"]).exception
    assert isinstance(failed, NexusError)
    assert (failed.category, "bin/nexus up" in str(failed)) == (Category.UNAVAILABLE, True)
