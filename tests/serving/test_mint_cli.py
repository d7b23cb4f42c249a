"""``nexus mint`` on a platform that mints, and on one that does not answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from nexus.errors import Category, NexusError
from nexus.settings import ROOT
from serving import cli
from tests.serving.live_web3 import Minting

OWNER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.callback()(lambda: None)
    cli.register(made)
    return made


def run(url: str, *words: str) -> str:
    """In a process of its own: the API's threads of this one exchange ``sys.stdout``."""
    environment = os.environ | {"NEXUS_API__URL": url, "COLUMNS": "80"}
    command = [sys.executable, "-m", "nexus.cli", "mint", *words]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.integration
def test_mint__a_title__is_followed_and_ends_with_its_proof(minting: Minting) -> None:
    content_id = minting.title("Heat")
    said = run(minting.url, content_id, "--to", OWNER, "--royalty-bps", "250")
    for words in ("title checked", "pinned on IPFS", "block final", "signature holds", OWNER, "ipfs://", "/ipfs/"):
        assert words in said
    token = json.loads(run(minting.url, content_id, "--json"))
    assert (token["owner"], token["royalty_bps"], token["content_id"]) == (OWNER, 250, content_id)
    assert token["proof"]["is_valid"] is True
    assert token["token_id"] in said  # whole, however narrow the terminal
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
