"""Parts by choice: when the chain and the IPFS node are there, what they are told, what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.client.chains import CHAINS
from nexus.errors import Category, NexusError
from nexus.runtime import kubo, kubo_repo, probes, state
from nexus.runtime.home import Home, read_json
from nexus.runtime.orchestrator import STEPS, _closure
from nexus.runtime.part import CONTRACTS, MIGRATION, Part
from nexus.runtime.parts import NAMES, all_parts
from nexus.runtime.state import State

pytestmark = pytest.mark.unit
Prepare = Callable[..., State]
KEY = "https://eth.example/v2/SECRET-KEY"


def _chosen(prepare: Prepare, **variables: str) -> State:
    made = prepare(**variables)
    state.choose(made.home, made.user, ["web3"], [])
    return prepare(**variables)


def _parts(made: State) -> dict[str, Part]:
    return {part.name: part for part in all_parts(made)}


def test_up__nobody_asked__there_is_neither_chain_nor_node(prepare: Prepare) -> None:
    made = prepare()
    assert not {"chain", "ipfs"} & (set(_parts(made)) | set(made.ports))
    assert not made.settings().web3.enabled


def test_with_web3__chosen_once__is_remembered_and_published(prepare: Prepare) -> None:
    made = _chosen(prepare)
    web3 = prepare().settings().web3
    assert tuple(_parts(made)) == (*NAMES, "chain", "ipfs")
    assert web3.enabled
    assert [url.get_secret_value() for url in web3.rpc_urls] == ["http://127.0.0.1:18545"]
    assert (web3.ipfs_url, web3.ipfs_gateway_url) == ("http://127.0.0.1:15001", "http://127.0.0.1:15081")
    state.choose(made.home, made.user, [], ["web3"])
    assert not prepare().settings().web3.enabled


@pytest.mark.parametrize(("setting", "expected"), [("true", True), ("false", False)])
def test_with_web3__setting_is_there__wins(prepare: Prepare, setting: str, expected: bool) -> None:
    made = _chosen(prepare) if setting == "false" else prepare()
    made = prepare(NEXUS_WEB3__ENABLED=setting)
    assert ("chain" in _parts(made)) is expected
    with pytest.raises(NexusError) as caught:
        state.choose(made.home, made.user, *([["web3"], []] if setting == "false" else [[], ["web3"]]))
    assert caught.value.category == Category.CONFLICT


@pytest.mark.parametrize(("wanted", "unwanted"), [(["dao"], []), (["web3"], ["web3"])])
def test_with__no_such_choice_or_both__is_invalid(prepare: Prepare, wanted: list[str], unwanted: list[str]) -> None:
    made = prepare()
    with pytest.raises(NexusError, match="web3"):
        state.choose(made.home, made.user, wanted, unwanted)


def test_keys_password__embedded__is_made_once_published_and_kept_from_others(prepare: Prepare) -> None:
    first, second = prepare(), prepare()
    password = first.settings().keys.password
    assert password is not None
    assert password.get_secret_value() == second.secrets.keys
    assert (first.home.root / "secrets.json").stat().st_mode & 0o077 == 0
    own = prepare(NEXUS_KEYS__PASSWORD="my own words").settings().keys.password
    assert own is not None
    assert own.get_secret_value() == "my own words"


def test_secrets__of_a_version_before__get_what_is_new_and_keep_what_was(prepare: Prepare) -> None:
    made = prepare()
    path = made.home.root / "secrets.json"
    old = {name: value for name, value in read_json(path).items() if name not in {"keys", "swarm"}}
    path.write_text(json.dumps(old))
    again = prepare()
    assert again.secrets.postgres == made.secrets.postgres
    assert again.secrets.keys
    assert len(again.secrets.swarm) == 64


def test_external__urls_of_a_person__are_used_and_no_key_is_shown(prepare: Prepare) -> None:
    made = prepare(
        NEXUS_WEB3__ENABLED="true",
        NEXUS_WEB3__CHAIN="sepolia",
        NEXUS_WEB3__RPC_URLS=json.dumps([KEY, "http://127.0.0.1:1"]),
        NEXUS_WEB3__IPFS_URL="http://ipfs.example:5001",
    )
    parts = _parts(made)
    assert parts["chain"].is_external
    assert parts["ipfs"].is_external
    assert parts["chain"].url == "https://eth.example, http://127.0.0.1:1"
    assert read_json(made.home.run / "endpoints.json")["web3"] == {"enabled": True}
    assert "SECRET-KEY" not in "".join(part.url or "" for part in parts.values())


def test_ask_chain__endpoint_with_a_key_is_away__its_host_is_told_and_no_key() -> None:
    def away(url: str, **_: object) -> None:
        raise probes.NotReadyError(f"{url}: refused")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "http", away)
        with pytest.raises(probes.NotReadyError, match=r"eth\.example: refused") as caught:
            probes.ask_chain([KEY], 1)
    assert "SECRET-KEY" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"result": "0x1"}, "is of chain 1, not 31337"),
        ({"error": {}}, "no JSON-RPC"),
        (None, "no JSON-RPC"),
        ({"result": None}, "no JSON-RPC"),
    ],
)
def test_ask_chain__anything_but_our_chain__is_not_ready(
    monkeypatch: pytest.MonkeyPatch, answer: object, said: str
) -> None:
    monkeypatch.setattr(probes, "http", lambda _url, **_: answer)
    with pytest.raises(probes.NotReadyError, match=said):
        probes.ask_chain([KEY], 31337)


def test_ask_chain__second_endpoint_answers__is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([{"result": "0x89"}, {"result": "0x7a69"}])
    monkeypatch.setattr(probes, "http", lambda _url, **_: next(answers))
    probes.ask_chain([KEY, KEY], 31337)


def test_choose__other_settings_of_the_area__do_not_count_as_a_choice(prepare: Prepare) -> None:
    made = _chosen(prepare, NEXUS_WEB3__LANES="3")
    assert made.settings().web3.lanes == 3
    assert made.ports["chain"] == 18545


def test_closure__with_web3__brings_the_contracts_after_chain_and_migration(prepare: Prepare) -> None:
    made = _chosen(prepare)
    parts = all_parts(made)
    assert _closure(parts, (), made.choices) == {*NAMES, "chain", "ipfs", MIGRATION, CONTRACTS}
    assert _closure(parts, ("chain",), made.choices) == {"chain"}
    assert _closure(parts, (CONTRACTS,), made.choices) == {CONTRACTS, MIGRATION, "chain", "postgres"}
    assert set(STEPS[CONTRACTS]) == {MIGRATION, "chain"}


@pytest.mark.parametrize("name", ["chain", "ipfs", CONTRACTS])
def test_closure__part_that_nobody_chose__says_how_to_have_it(prepare: Prepare, name: str) -> None:
    with pytest.raises(NexusError) as caught:
        _closure(all_parts(prepare()), (name,))
    assert "--with web3" in (caught.value.remedy or "")


def test_chain_part__its_command__has_the_depth_and_number_of_the_registry_and_no_secret(
    prepare: Prepare, tmp_path: Path
) -> None:
    program = tmp_path / "anvil"
    program.write_text("#!/bin/sh\necho 'anvil Version: 1.7.1'\n")
    program.chmod(0o755)
    made = _chosen(prepare, NEXUS_WEB3__CHAIN_PROGRAM=str(program))
    part = _parts(made)["chain"]
    assert part.make is not None
    words = part.make().argv
    depth, node = (
        words[words.index(str(made.home.root / "chain" / "state.json")) + 2],
        words[words.index("--chain-id") + 1],
    )
    assert (int(depth), int(node)) == (CHAINS["anvil"].depth, CHAINS["anvil"].chain_id)
    assert words[words.index("--accounts") + 1] == "0", "no key that everybody knows"
    assert not part.is_group_stopped


def test_find__nothing_can_be_had__is_one_error_that_names_every_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NexusError, match=r"no go on the PATH.*no node on the PATH") as caught:
        kubo.find(tools=tmp_path / "tools")
    assert "NEXUS_WEB3__IPFS_URL" in (caught.value.remedy or "")


def test_find__home_with_a_repository_of_kubo__never_gets_the_other_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NexusError) as caught:
        kubo.find(is_kubo_only=True, tools=tmp_path / "tools")
    assert "node on the PATH" not in caught.value.message


@pytest.mark.parametrize(
    ("said", "is_taken"),
    [("ipfs version 0.42.0", True), ("ipfs version 0.30.0", False), ("js-ipfs version: 0.66.1", False)],
)
def test_find__program_of_the_system__is_taken_when_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, is_taken: bool
) -> None:
    program = tmp_path / "ipfs"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    if is_taken:
        assert kubo.find(tools=tmp_path / "tools").words == (str(program),)
    else:
        with pytest.raises(NexusError):
            kubo.find(tools=tmp_path / "tools")


def test_go__too_old_and_bound_to_itself__is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "go"
    program.write_text("#!/bin/sh\necho go1.19.8\necho local\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NexusError, match=r"go is 1.19, and 1.26 is needed"):
        kubo.go()


def test_config__closed_then_public_then_closed__each_is_whole() -> None:
    listening = kubo_repo.Ports(1, 2, 3)
    closed = kubo_repo._kubo_config(listening, is_public=False)
    public = kubo_repo._kubo_config(listening, is_public=True)
    there = kubo_repo._merged({"Identity": {"PeerID": "12D3"}, "Bootstrap": ["/dnsaddr/old"]}, closed)
    assert there["Bootstrap"] == []
    assert there["Identity"] == {"PeerID": "12D3"}
    opened = kubo_repo._merged(there, public)
    assert opened["Bootstrap"] == ["auto"]
    assert kubo_repo._merged(opened, closed)["DNS"]["Resolvers"] == {}
    assert all("127.0.0.1" in address for address in (closed["Addresses"]["API"], *closed["Addresses"]["Swarm"]))


def test_known__asked_for_and_never_started__is_as_before(prepare: Prepare) -> None:
    made = prepare()
    state.choose(made.home, made.user, ["web3"], [])
    found = state.known(Home(made.home.root), made.user)
    assert found is not None
    assert tuple(part.name for part in all_parts(found)) == NAMES
