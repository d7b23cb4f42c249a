"""What the doctor says of chain and IPFS node, and what it mends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nexus.doctor import web3
from nexus.doctor.finding import Check, Finding, Verdict
from nexus.runtime import state
from nexus.runtime.home import Home
from nexus.runtime.probes import NotReadyError
from nexus.runtime.state import State
from tests.nexus.runtime.conftest import prepare

__all__ = ["prepare"]
pytestmark = pytest.mark.unit
Prepare = Callable[..., State]
MEDIA = "0x" + "ab" * 20


@pytest.fixture
def chosen(prepare: Prepare) -> State:
    made = prepare()
    state.choose(made.home, made.user, ["web3"], [])
    return prepare()


def _found(check: Check, made: State) -> list[Finding]:
    return list(check(Home(made.home.root), made.user))


@pytest.mark.parametrize("check", [web3.programs, web3.kept_chain, web3.chain, web3.ipfs, web3.wrong_choice])
def test_check__nobody_chose_web3__says_nothing(prepare: Prepare, check: Check) -> None:
    assert _found(check, prepare()) == []


def test_programs__nothing_to_have_them_with__names_the_remedies(
    chosen: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(web3, "TOOLS", tmp_path)
    found = _found(web3.programs, chosen)
    assert [finding.verdict for finding in found] == [Verdict.FAILED, Verdict.FAILED]
    assert "neither go nor npm" in found[1].said


@pytest.mark.parametrize("content", ["", "{", "[]", '{"accounts": {}}'])
def test_kept_chain__damaged__is_moved_aside_and_named_no_more(chosen: State, content: str) -> None:
    path = chosen.home.root / "chain" / "state.json"
    path.parent.mkdir()
    path.write_text(content)
    (found,) = _found(web3.kept_chain, chosen)
    assert found.verdict is Verdict.FAILED
    assert found.mend is not None
    assert "moved" in found.mend()
    assert not path.exists()
    assert _found(web3.kept_chain, chosen) == []
    path.write_text(json.dumps({"blocks": []}))
    assert _found(web3.kept_chain, chosen) == []


def _chain(
    monkeypatch: pytest.MonkeyPatch, written: tuple[str | None, list[tuple[str, int]], int], code: str = "0x6080"
) -> None:
    monkeypatch.setattr(web3, "ask_chain", lambda _urls, _number: None)
    monkeypatch.setattr(web3, "_written", lambda _settings, _number: written)
    monkeypatch.setattr(web3, "http", lambda _url, **_: {"result": code})


@pytest.mark.parametrize(
    ("written", "code", "said"),
    [
        ((None, [], 0), "0x", "nothing is deployed yet"),
        ((MEDIA, [], 0), "0x", "is not on the chain"),
        ((MEDIA, [("0x1", 5)], 2), "0x60", "lacks 5 wei"),
        ((MEDIA, [], 3), "0x60", "3 unfinished for more than 15 minutes"),
    ],
)
def test_chain__something_is_missing__is_named_with_what_to_do(
    chosen: State,
    monkeypatch: pytest.MonkeyPatch,
    written: tuple[str | None, list[tuple[str, int]], int],
    code: str,
    said: str,
) -> None:
    _chain(monkeypatch, written, code)
    bad = [finding for finding in _found(web3.chain, chosen) if finding.verdict is not Verdict.OK]
    assert len(bad) == 1
    assert said in bad[0].said
    assert bad[0].remedy


def test_chain__all_is_well__says_which_contract(chosen: State, monkeypatch: pytest.MonkeyPatch) -> None:
    _chain(monkeypatch, (MEDIA, [], 0))
    (found,) = _found(web3.chain, chosen)
    assert (found.verdict, found.said) == (Verdict.OK, f"NexusMedia {MEDIA}")


def test_chain__one_of_two_endpoints_is_away__is_a_warning_without_its_key(
    prepare: Prepare,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = prepare(
        NEXUS_WEB3__ENABLED="true", NEXUS_WEB3__RPC_URLS=json.dumps(["https://a.example/KEY", "https://b.example/KEY"])
    )
    _chain(monkeypatch, (MEDIA, [], 0))

    def one_is_away(urls: list[str], _number: int) -> None:
        if "a.example" in urls[0]:
            raise NotReadyError("a.example: no answer")

    monkeypatch.setattr(web3, "ask_chain", one_is_away)
    found = _found(web3.chain, made)
    assert [finding.verdict for finding in found] == [Verdict.WARNING, Verdict.OK]
    assert "KEY" not in str(found)


def test_wrong_choice__urls_and_not_chosen__says_how_to_use_them(prepare: Prepare) -> None:
    made = prepare(NEXUS_WEB3__IPFS_URL="http://ipfs.example:5001")
    (found,) = _found(web3.wrong_choice, made)
    assert "--with web3" in (found.remedy or "")


def test_ipfs__node_answers__says_what_it_holds(chosen: State, monkeypatch: pytest.MonkeyPatch) -> None:
    def http(url: str, **_: Any) -> dict[str, Any]:
        return {"RepoSize": 2_500_000} if "repo" in url else {"Peers": [{}]}

    monkeypatch.setattr(web3, "http", http)
    (found,) = _found(web3.ipfs, chosen)
    assert found.said == "2.5 MB, 1 peers"
