"""Calls, answers, events and errors as bytes; the committed artifacts fit their sources."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.client.artifacts import Artifact, checksummed, decode_error, load
from contracts.client.governor import Action, Proposal
from contracts.client.media import MOST_IN_BATCH, Media
from contracts.client.parameters import key_bytes
from contracts.client.splitter import due
from contracts.compiler import Unit, units
from nexus.errors import NexusError
from nexus.settings import ROOT

pytestmark = pytest.mark.unit

NAMES = ("NexusGovernor", "NexusMedia", "NexusParameters", "NexusSplitter", "NexusVotes", "TimelockController")
SOMEBODY = "0x" + "1" * 40


class Nobody:
    """No node is asked by what these tests do."""

    async def call(self, method: str, params: object = ()) -> object:
        raise AssertionError(method, params)


@pytest.fixture
def media() -> Media:
    return Media(Nobody(), SOMEBODY)


def test_artifacts__committed__are_these() -> None:
    assert tuple(sorted(path.stem for path in (ROOT / "contracts" / "artifacts").glob("*.json"))) == NAMES


@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.folder.name)
def test_artifacts__of_sources_as_they_are__were_not_forgotten(unit: Unit) -> None:
    for path in unit.folder.glob("*.json"):
        raw = json.loads(path.read_text())
        for artifact in raw.values() if unit.shared_file else [raw]:
            assert artifact["compiler"]["settings"] == unit.settings
            ours = {
                name: file for name, file in {**unit.sources, **unit.imports}.items() if name in artifact["sources"]
            }
            assert ours or artifact["source"] in unit.library
            for name, file in ours.items():
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                assert artifact["sources"][name] == digest, f"{name} changed: run bin/nexus contracts build"


@pytest.mark.parametrize("name", NAMES)
def test_artifact__of_each_contract__tells_no_path_of_a_machine(name: str) -> None:
    text = (ROOT / "contracts" / "artifacts" / f"{name}.json").read_text()
    assert str(ROOT) not in text
    assert "/home/" not in text
    assert "registry" not in text


def test_artifact__nobody_has__is_refused() -> None:
    with pytest.raises(NexusError, match="no such contract"):
        load("NexusNothing")


def test_selectors__of_the_standards__are_theirs() -> None:
    media = load("NexusMedia")
    assert media.functions["ownerOf(uint256)"] == "0x6352211e"
    assert media.errors["ERC721InvalidSender(address)"] == "0x73c6ac6e"
    assert media.topic("Transfer") == "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    assert "propose(address[],uint256[],bytes[],string)" in load("NexusGovernor").functions


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, "reverted without a reason"),
        ("0x", "reverted without a reason"),
        ("0x08c379a0" + f"{32:064x}{2:064x}" + "6e6f".ljust(64, "0"), "no"),
        ("0x4e487b71" + f"{0x11:064x}", "Panic(overflow)"),
        ("0x4e487b71" + f"{0x99:064x}", "Panic(0x99)"),
        ("0x73c6ac6e" + "0" * 64, "ERC721InvalidSender(0x" + "0" * 40 + ")"),
        (bytes.fromhex("ab13c8f9"), "unknown error 0xab13c8f9"),
    ],
)
def test_error__of_each_kind__is_named(data: bytes | str | None, expected: str) -> None:
    assert decode_error(data) == expected


@given(st.binary(max_size=100))
def test_error__of_any_bytes__is_named_and_never_fails(data: bytes) -> None:
    assert decode_error(data)


@pytest.mark.parametrize("selector", ["0x08c379a0", "0x4e487b71", "0x73c6ac6e"])
def test_error__that_is_cut_off__is_named(selector: str) -> None:
    assert selector in decode_error(selector + "00")


def test_log__of_somebody_else__is_none(media: Media) -> None:
    assert media.artifact.log(["0x" + "1" * 64], "0x") is None
    assert media.artifact.log([], "0x") is None


@pytest.mark.parametrize(
    "address",
    ["", "0x", "1" * 40, "0x12", "vitalik.eth", "0x" + "g" * 40, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"],
)
def test_address__that_is_none_or_mistyped__is_refused(address: str) -> None:
    with pytest.raises(NexusError, match="not an address"):
        checksummed(address)


@pytest.mark.parametrize("change", [str, str.lower, lambda a: "0x" + a[2:].upper()], ids=["mixed", "small", "capital"])
def test_address__in_each_way_of_writing__gets_its_capitals(change: Callable[[str], str]) -> None:
    address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    assert checksummed(change(address)) == address


@pytest.mark.parametrize("bps", [-1, 10_001, 2**96])
def test_mint__with_an_impossible_royalty__is_refused(media: Media, bps: int) -> None:
    with pytest.raises(NexusError) as caught:
        media.mint(SOMEBODY, 1, bps)
    assert caught.value.field == "royalty_bps"


@pytest.mark.parametrize("token_id", [-1, 2**256])
def test_mint__of_a_number_that_is_no_digest__is_refused(media: Media, token_id: int) -> None:
    with pytest.raises(NexusError) as caught:
        media.mint(SOMEBODY, token_id)
    assert caught.value.field == "token_id"


def test_mint__to_the_zero_address__is_refused(media: Media) -> None:
    with pytest.raises(NexusError, match="zero address"):
        media.mint("0x" + "0" * 40, 1)


@pytest.mark.parametrize("ids", [[], [1, 1], list(range(MOST_IN_BATCH + 1))], ids=["none", "twice", "too many"])
def test_batch__that_cannot_be__is_refused(media: Media, ids: list[int]) -> None:
    with pytest.raises(NexusError) as caught:
        media.mint_batch(SOMEBODY, ids)
    assert caught.value.field == "token_ids"


def test_calldata__of_a_mint__chooses_by_royalty(media: Media) -> None:
    plain, own = media.mint(SOMEBODY, 7), media.mint(SOMEBODY, 7, 0)
    assert plain.hex() == "40c10f19" + SOMEBODY[2:].zfill(64) + f"{7:064x}"
    assert own[:4] != plain[:4]


@pytest.mark.parametrize("key", ["", "a" * 33, "größe", "a\n"])
def test_parameter__with_a_name_that_does_not_fit__is_refused(key: str) -> None:
    with pytest.raises(NexusError, match="name is short"):
        key_bytes(key)


@pytest.mark.parametrize(("actions", "description"), [((), "x"), ((Action(SOMEBODY),), ""), ((Action("0x1"),), "x")])
def test_proposal__that_is_none__is_refused(actions: tuple[Action, ...], description: str) -> None:
    with pytest.raises(NexusError):
        Proposal.of(actions, description)


@given(
    received=st.integers(0, 2**200),
    shares=st.lists(st.integers(1, 2**96), min_size=1, max_size=20),
)
def test_due__of_any_split__never_exceeds_what_came_in(received: int, shares: list[int]) -> None:
    dues = [due(received, share, sum(shares), 0) for share in shares]
    assert 0 <= received - sum(dues) < len(shares)


@given(st.lists(st.tuples(st.integers(0, 2**64), st.integers(0, 2)), max_size=30))
def test_due__paid_at_any_time__adds_up_to_the_same(events: list[tuple[int, int]]) -> None:
    shares, received, paid = [1, 2, 4], 0, [0, 0, 0]
    for amount, who in events:
        received += amount
        paid[who] += due(received, shares[who], 7, paid[who])
    for who in range(3):
        paid[who] += due(received, shares[who], 7, paid[who])
    assert paid == [received * share // 7 for share in shares]


@given(st.integers(0, 2**256 - 1), st.integers(0, 2**160 - 1))
def test_log__of_any_transfer__is_read_back(token_id: int, owner: int) -> None:
    artifact: Artifact = load("NexusMedia")
    topics = [artifact.topic("Transfer"), "0x" + "0" * 64, f"0x{owner:064x}", f"0x{token_id:064x}"]
    log = artifact.log(topics, "0x")
    assert log is not None
    assert log.arguments == {"from": "0x" + "0" * 40, "to": f"0x{owner:040x}", "tokenId": token_id}
