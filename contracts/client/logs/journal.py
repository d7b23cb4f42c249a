"""The lake as journal of a chain: logs, retractions and the position in one commit of ``raw_chain__logs``.

The ledger's number counts loads of a chain, over all its lives; a commit says which number it follows, so of two readers
one is refused, and of a kill either everything is there or nothing.

Belongs here: rows. Does not belong here: what they should be (follow.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pyarrow as pa

from contracts.client.logs.state import State
from contracts.client.logs.values import Header, Key, Log
from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake

TABLE = "raw_chain__logs"


class LakeJournal:
    """One chain's rows."""

    def __init__(self, lake: Lake, chain_id: int) -> None:
        self._lake = lake
        self._chain_id = chain_id
        self._app = f"chain-logs:{chain_id}"
        self._number = 0

    def state(self) -> State | None:
        """The position of the last commit; the next commit follows it."""
        self._number = self._lake.last_key(TABLE, self._app) or 0
        if not self._number:
            return None
        is_last = (pl.col("kind") == "load") & (pl.col("load_number") == self._number)
        found = self._mine().filter(is_last).select("body").collect()
        return State.from_json(json.loads(found["body"].item()))

    def live(self, life: str, above: int) -> dict[Key, Log]:
        """Logs above a height that were read and not retracted."""
        if not self._lake.exists(TABLE):
            return {}
        is_here = (pl.col("life") == life) & (pl.col("block_number") > above) & (pl.col("kind") != "load")
        newest = self._mine().filter(is_here).sort("load_number", "record_number").collect()
        last: dict[Key, dict[str, Any]] = {}
        for row in newest.iter_rows(named=True):
            last[(row["block_hash"], int(row["log_index"], 16))] = row
        return {key: _log(row) for key, row in last.items() if row["kind"] == "log"}

    def commit(self, state: State, new: Sequence[tuple[Log, Header]], gone: Sequence[Log], reason: str) -> None:
        """Keep new logs, retract others, move the position.

        Raises:
            NexusError: ``conflict``, field ``follows``: somebody else committed since :meth:`state`.
        """
        position = {
            "kind": "load",
            "block_number": state.at.number,
            "block_hash": state.at.hash,
            "body": json.dumps(state.as_json(), separators=(",", ":")),
        }
        records = [
            *(_row(log, state) | {"kind": "orphaned", "body": reason} for log in gone),
            *(
                _row(log, state) | {"kind": "log", "parent_hash": block.parent, "block_time": block.time}
                for log, block in new
            ),
            position,
        ]
        number = self._number + 1
        shared = {
            "chain_id": self._chain_id,
            "life": state.life,
            "load_number": number,
            "read_at": datetime.now(UTC),
        }
        rows = [record | shared | {"record_number": place} for place, record in enumerate(records, 1)]
        frame = pa.Table.from_pylist(rows, schema=declared(TABLE).schema)
        self._lake.write(TABLE, frame, mode="append", key=(self._app, number), follows=self._number)
        self._number = number

    def _mine(self) -> pl.LazyFrame:
        return self._lake.scan(TABLE).filter(pl.col("chain_id") == self._chain_id)


def _row(log: Log, state: State) -> dict[str, Any]:
    return {
        "block_number": log.block_number,
        "block_hash": log.block_hash,
        "tx_hash": log.tx_hash,
        "tx_index": log.tx_index,
        "log_index": log.log_index,
        "address": log.address,
        "contract": state.contracts.get(log.address),
        "topics": json.dumps(log.topics),
        "data": log.data,
    }


def _log(row: dict[str, Any]) -> Log:
    return Log(
        row["block_number"],
        row["block_hash"],
        row["tx_hash"],
        row["tx_index"],
        row["log_index"],
        row["address"],
        tuple(json.loads(row["topics"])),
        row["data"],
    )
