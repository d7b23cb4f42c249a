"""From records of a chain to tokens: retractions, lives, what is final, what nobody can decode."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from nexus.lake import guard
from nexus.lake.catalogue import declared
from nexus.lake.transforms import chain

pytestmark = pytest.mark.unit

NOBODY, ANNA, BEN = ("0x" + digit * 40 for digit in "0ab")
MEDIA = "0x" + "5e" * 20
A_LIFE, ANOTHER_LIFE = "0x" + "01" * 32, "0x" + "02" * 32


def load(number: int, *, life: str = A_LIFE, final: int = 0, chain_id: int = 31337) -> dict[str, Any]:
    return _record("load", number, 99, life, chain_id) | {"block_hash": "0xffff", "body": json.dumps({"final": final})}


def moved(token: int, sender: str, receiver: str, *, at: int = 1, block: str = "0x0b", **more: Any) -> dict[str, Any]:
    """A transfer, as record ``at`` of load 1 unless told otherwise; it is decoded by :func:`decode`."""
    number, place = more.get("number", 1), more.get("place", at)
    kind, life, chain_id = more.get("kind", "log"), more.get("life", A_LIFE), more.get("chain_id", 31337)
    said = {"from": sender, "to": receiver, "tokenId": str(token)}
    return _record(kind, number, place, life, chain_id) | {
        "block_number": at,
        "block_hash": block + f"{at:02d}",
        "block_time": hex(1_700_000_000 + at),
        "tx_hash": "0x7e" + f"{at:02d}",
        "log_index": "0x1f",
        "address": MEDIA,
        "contract": more.get("contract", "NexusMedia"),
        "topics": json.dumps([more.get("event", "Transfer")]),
        "data": json.dumps(said),
    }


def _record(kind: str, number: int, place: int, life: str, chain_id: int) -> dict[str, Any]:
    return {
        "chain_id": chain_id,
        "life": life,
        "load_number": number,
        "record_number": place,
        "kind": kind,
        "block_number": 0,
        "read_at": None,
    }


def decode(_: str, topics: Any, data: str) -> tuple[str, str] | None:
    return None if topics[0] == "?" else (topics[0], data)


def made(*records: dict[str, Any]) -> list[dict[str, Any]]:
    schema = pl.DataFrame(declared("raw_chain__logs").schema.empty_table()).schema
    raw = pl.DataFrame(list(records), schema=schema)
    typed = chain.events(raw, decode)
    found = chain.tokens(chain.transfers(typed), lambda token: f"cid{token}")
    for name, frame in ((chain.EVENTS, typed), (chain.TRANSFERS, chain.transfers(typed)), (chain.TOKENS, found)):
        rows = guard.conform(declared(name), frame.to_arrow())
        guard.check_unique(declared(name), rows)
    return found.to_dicts()


def test_tokens__mint_and_sale__has_owner_first_owner_and_count() -> None:
    (row,) = made(moved(7, NOBODY, ANNA, at=3), moved(7, ANNA, BEN, at=9), load(1, final=8))
    assert (row["owner"], row["minted_to"], row["transfers"]) == (BEN, ANNA, 2)
    assert (row["minted_block"], row["last_block"], row["is_final"]) == (3, 9, False)
    assert (row["metadata_cid"], row["mint_tx_hash"]) == ("cid7", "0x7e03")
    assert row["minted_at"].timestamp() == 1_700_000_003


def test_tokens__burnt__has_no_owner() -> None:
    (row,) = made(moved(7, NOBODY, ANNA, at=3), moved(7, ANNA, NOBODY, at=4), load(1, final=4))
    assert (row["owner"], row["is_final"]) == (None, True)


def test_tokens__an_orphaned_mint__is_not_there() -> None:
    gone = moved(7, NOBODY, ANNA, at=3, number=2, place=1, kind="orphaned")
    assert made(moved(7, NOBODY, ANNA, at=3), load(1), gone, load(2)) == []


def test_tokens__orphaned_then_back_on_its_branch__is_there_once() -> None:
    records = [
        moved(7, NOBODY, ANNA, at=3),
        load(1),
        moved(7, NOBODY, ANNA, at=3, number=2, kind="orphaned"),
        load(2),
        moved(7, NOBODY, ANNA, at=3, number=3),
        load(3),
    ]
    (row,) = made(*records)
    assert row["transfers"] == 1


def test_tokens__included_again_in_another_block__is_there_once_with_that_block() -> None:
    records = [
        moved(7, NOBODY, ANNA, at=3),
        load(1),
        moved(7, NOBODY, ANNA, at=3, number=2, place=1, kind="orphaned"),
        moved(7, NOBODY, ANNA, at=5, block="0xcc", number=2, place=2),
        load(2),
    ]
    (row,) = made(*records)
    assert (row["minted_block"], row["transfers"]) == (5, 1)


def test_tokens__another_life_of_the_chain__only_the_newest_counts() -> None:
    records = [
        moved(1, NOBODY, ANNA, at=3),
        load(1),
        moved(2, NOBODY, ANNA, at=4, number=2, life=ANOTHER_LIFE),
        load(2, life=ANOTHER_LIFE),
    ]
    assert [row["token_id"] for row in made(*records)] == ["2"]


def test_tokens__two_chains__are_kept_apart() -> None:
    records = [
        moved(1, NOBODY, ANNA, at=3),
        load(1, final=3),
        moved(1, NOBODY, BEN, at=3, chain_id=137),
        load(1, chain_id=137),
    ]
    assert [(row["chain_id"], row["owner"], row["is_final"]) for row in made(*records)] == [
        (137, BEN, False),
        (31337, ANNA, True),
    ]


def test_tokens__transfers_of_other_contracts_and_unknown_events__are_left_out() -> None:
    records = [
        moved(1, NOBODY, ANNA, at=1, contract="NexusVotes"),
        moved(2, NOBODY, ANNA, at=2, event="Approval"),
        moved(3, NOBODY, ANNA, at=3, event="?"),
        load(1),
    ]
    assert made(*records) == []


def test_tokens__the_largest_number__stays_exact() -> None:
    (row,) = made(moved(2**256 - 1, NOBODY, ANNA), load(1))
    assert row["token_id"] == str(2**256 - 1)


def test_tokens__nothing_read_yet__is_an_empty_table() -> None:
    assert made() == []
