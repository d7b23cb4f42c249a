"""Logs of a chain: those that are part of it, typed; transfers; the table of tokens.

Belongs here: polars functions without side effects. Does not belong here: reading and writing tables, interfaces of
contracts (how a log is decoded, and a token's CID, are given).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

import polars as pl

from nexus.lake.catalogue import declared

EVENTS, TRANSFERS, TOKENS = "core_chain__events", "core_chain__transfers", "marts_chain__tokens"
MEDIA = "NexusMedia"
_NOBODY = "0x" + "0" * 40
_RECORD = ("chain_id", "block_hash", "log_index")
Decode = Callable[[str, Sequence[str], str], tuple[str, str] | None]
"""From contract, topics and data to the event's name and its arguments as JSON; None: unknown."""


def live(raw: pl.DataFrame) -> pl.DataFrame:
    """The logs that are part of each chain as it was last read, with ``is_final``.

    The newest load of a chain tells in which life it is; of each log the newest record counts.
    """
    now = (
        raw.filter(pl.col("kind") == "load")
        .sort("load_number")
        .group_by("chain_id")
        .last()
        .select("chain_id", "life", pl.col("body").str.json_path_match("$.final").cast(pl.Int64).alias("final"))
    )
    records = raw.filter(pl.col("kind") != "load").join(now, ["chain_id", "life"])
    newest = records.sort("load_number", "record_number").group_by(_RECORD, maintain_order=True).last()
    is_final = (pl.col("block_number") <= pl.col("final")).alias("is_final")
    return newest.filter(pl.col("kind") == "log").with_columns(is_final)


def events(raw: pl.DataFrame, decode: Decode) -> pl.DataFrame:
    """Every log that is part of the chain, decoded, as core_chain__events."""
    rows = live(raw)
    decoded = [
        _decoded(decode, *row) for row in rows.select("contract", "topics", "data").iter_rows()
    ]  # row by row: interfaces are data
    return _shaped(
        EVENTS,
        rows.with_columns(
            pl.from_epoch(_whole("block_time"), "s")
            .dt.cast_time_unit("us")
            .dt.replace_time_zone("UTC")
            .alias("block_at"),
            _whole("log_index"),
            pl.col("address").alias("contract_address"),
            pl.Series("event", [event for event, _ in decoded], pl.String),
            pl.Series("arguments", [arguments for _, arguments in decoded], pl.String),
        ).sort("chain_id", "block_number", "log_index"),
    )


def _decoded(decode: Decode, contract: str, topics: str, data: str) -> tuple[str | None, str | None]:
    found = decode(contract, json.loads(topics), data)
    return (None, None) if found is None else found


def transfers(rows: pl.DataFrame) -> pl.DataFrame:
    """Transfers of tokens of the media contract, as core_chain__transfers."""
    mine = rows.filter((pl.col("contract") == MEDIA) & (pl.col("event") == "Transfer"))
    arguments = [json.loads(text) for text in mine["arguments"]]
    return _shaped(
        TRANSFERS,
        mine.with_columns(
            _column("token_id", (one["tokenId"] for one in arguments)),
            _column("from_address", (one["from"].lower() for one in arguments)),
            _column("to_address", (one["to"].lower() for one in arguments)),
        ),
    )


def tokens(rows: pl.DataFrame, cid_of: Callable[[int], str]) -> pl.DataFrame:
    """The table of tokens, from transfers.

    Args:
        rows: core_chain__transfers.
        cid_of: The CID of a token's metadata.
    """
    ordered = rows.sort("chain_id", "block_number", "log_index")
    owner = pl.col("to_address").last()
    found = ordered.group_by("chain_id", "contract_address", "token_id", maintain_order=True).agg(
        pl.when(owner != _NOBODY).then(owner).alias("owner"),
        pl.col("to_address").first().alias("minted_to"),
        pl.col("block_number").first().alias("minted_block"),
        pl.col("block_at").first().alias("minted_at"),
        pl.col("tx_hash").first().alias("mint_tx_hash"),
        pl.len().cast(pl.Int64).alias("transfers"),
        pl.col("block_number").last().alias("last_block"),
        pl.col("is_final").last(),
    )
    return _shaped(TOKENS, found.with_columns(_column("metadata_cid", (cid_of(int(one)) for one in found["token_id"]))))


def _whole(name: str) -> pl.Expr:
    """A hexadecimal number as a whole one."""
    return pl.col(name).str.strip_prefix("0x").str.to_integer(base=16, dtype=pl.Int64).alias(name)


def _column(name: str, values: Iterable[str]) -> pl.Series:
    return pl.Series(name, list(values), pl.String)


def _shaped(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Exactly the declared columns."""
    return rows.select(declared(table).schema.names)
