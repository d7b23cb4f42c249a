"""``bin/nexus ipfs``, run as a person runs it, on a real node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.client.ipfs.cids import cid_of_file, raw_cid
from nexus.cli.main import main
from tests.contracts.ipfs.nodes import Node

pytestmark = pytest.mark.integration


@pytest.fixture
def up(kubo: Node, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setenv("NEXUS_WEB3__IPFS_URL", kubo.url)
    monkeypatch.setenv("NEXUS_WEB3__IPFS_GATEWAY_URL", kubo.gateway)
    return kubo


def test_add_pin_get_health__a_file__goes_round(up: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "poster [1].jpg"
    path.write_bytes(bytes(range(256)) * 9000)
    assert main(["ipfs", "add", str(path), "--pin", "--json"]) == 0
    added = json.loads(capsys.readouterr().out)
    assert added["cid"] == cid_of_file(path)
    assert added["urls"] == [f"{up.gateway}/ipfs/{added['cid']}"]
    assert [(pin["service"], pin["status"]) for pin in added["pins"]] == [("node", "pinned")]
    assert main(["ipfs", "pin", added["cid"]]) == 0
    assert main(["ipfs", "get", added["cid"], "--to", str(tmp_path / "out.jpg")]) == 0
    assert (tmp_path / "out.jpg").read_bytes() == path.read_bytes()
    capsys.readouterr()
    assert main(["ipfs", "health", added["cid"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["places"][0]["is_verified"] is True
    assert main(["ipfs", "health", added["cid"]]) == 0
    assert "kept at 1 places; 1 are asked for" in capsys.readouterr().out


@pytest.mark.usefixtures("up")
def test_add_get__a_folder__goes_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "file").write_text("text")
    assert main(["ipfs", "add", str(tmp_path / "in"), "--json"]) == 0
    cid = json.loads(capsys.readouterr().out)["cid"]
    assert main(["ipfs", "get", cid, "--to", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "deep" / "file").read_text() == "text"
    assert main(["ipfs", "get", cid, "--to", str(tmp_path / "out")]) == 2
    assert "something has this name" in capsys.readouterr().err


def test_health__of_the_node__shows_its_facts(up: Node, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ipfs", "health", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["node"]["url"] == up.url
    assert main(["ipfs", "health"]) == 0


@pytest.mark.usefixtures("up")
def test_health__content_that_is_not_kept__fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ipfs", "health", raw_cid(b"never added")]) == 1
    assert "not pinned" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["add", __file__],
        ["pin", raw_cid(b"x")],
        ["get", raw_cid(b"x"), "--to", "x"],
        ["health"],
        ["health", raw_cid(b"x")],
    ],
)
def test_every_command__no_node_is_running__says_how_to_start_one(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ipfs", *words]) == 1
    assert "bin/nexus up --with web3" in capsys.readouterr().err


@pytest.mark.usefixtures("up")
@pytest.mark.parametrize("words", [["pin", "nonsense"], ["get", "nonsense", "--to", "x"], ["health", "nonsense"]])
def test_every_command__no_identifier__is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ipfs", *words]) == 2
    assert "not a content identifier" in capsys.readouterr().err


@pytest.mark.usefixtures("up")
def test_add__a_file_that_is_not_there__is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ipfs", "add", str(tmp_path / "missing")]) == 1
    assert "no such file" in capsys.readouterr().err


@pytest.mark.usefixtures("up")
def test_get__into_no_folder__is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "file"
    path.write_text("text")
    main(["ipfs", "add", str(path), "--json"])
    cid = json.loads(capsys.readouterr().out)["cid"]
    assert main(["ipfs", "get", cid, "--to", str(tmp_path / "missing" / "out")]) == 2
    assert main(["ipfs", "get", cid, "--to", str(tmp_path)]) == 2
