"""The chain's tables in every layer: logs of our contracts as read, events typed, tokens.

Belongs here: declarations. Does not belong here: reading a chain (contracts.client.logs), transformations.
"""

from __future__ import annotations

import pyarrow as pa

from nexus.lake.table import Table, column, instant, text, whole

_HASH = "{0} LIKE '0x%'"
_PLACE = (
    whole("chain_id", "EIP-155 number of the chain"),
    whole("block_number", "height of the block"),
    text("block_hash", "name of the block"),
    instant("block_at", "when the block was made, by its own time"),
    column("is_final", pa.bool_(), "whether the block was final, by the chain's rule, when it was last read"),
    text("tx_hash", "transaction that wrote it"),
    whole("log_index", "its place among the logs of the block"),
    text("contract_address", "contract that wrote it, in small letters"),
)

TABLES = (
    Table(
        name="raw_chain__logs",
        description="Every log of our contracts as read, every retraction, and the position of every load; appended once.",
        schema=pa.schema(
            [
                whole("chain_id", "EIP-155 number of the chain"),
                text("life", "hash of the chain's first block: another one after a development chain was wiped"),
                whole("load_number", "number of the load; the position in the table's ledger"),
                whole("record_number", "its place in the load"),
                text("kind", "log; orphaned: a log is retracted; load: the position after the load"),
                whole("block_number", "height of the block"),
                text("block_hash", "name of the block"),
                text("parent_hash", "name of the block below; null when a log is retracted", nullable=True),
                text("block_time", "seconds since 1970 as the block says, hexadecimal", nullable=True),
                text("tx_hash", "transaction", nullable=True),
                text("tx_index", "its place in the block, hexadecimal", nullable=True),
                text("log_index", "the log's place in the block, hexadecimal", nullable=True),
                text("address", "contract", nullable=True),
                text("contract", "name under which the contract was known when it was read", nullable=True),
                text("topics", "topics as a JSON list", nullable=True),
                text("data", "data, hexadecimal", nullable=True),
                text("body", "load: the position as JSON; orphaned: why", nullable=True),
                instant("read_at", "when it was read"),
            ]
        ),
        primary_key=("chain_id", "load_number", "record_number"),
        constraints={"kind_known": "kind IN ('log','orphaned','load')", "block_hash_form": _HASH.format("block_hash")},
    ),
    Table(
        name="core_chain__events",
        description="Logs that are part of the chain, decoded, one row a log; those of orphaned blocks are not here.",
        schema=pa.schema(
            [
                *_PLACE,
                text("contract", "name of the contract"),
                text("event", "name of the event; null when the contract's interface does not have it", nullable=True),
                text("arguments", "its arguments as JSON, numbers as text; null when it is not known", nullable=True),
            ]
        ),
        primary_key=("chain_id", "block_hash", "log_index"),
    ),
    Table(
        name="core_chain__transfers",
        description="Transfers of tokens that stand for titles, mints among them, in the order of the chain.",
        schema=pa.schema(
            [
                *_PLACE,
                text("token_id", "uint256, decimal"),
                text("from_address", "who had it; zeroes when it was minted"),
                text("to_address", "who has it then; zeroes when it was burnt"),
            ]
        ),
        primary_key=("chain_id", "block_hash", "log_index"),
    ),
    Table(
        name="marts_chain__tokens",
        description="The table of tokens: who owns which, minted where, for which metadata; one row a token that was minted.",
        schema=pa.schema(
            [
                whole("chain_id", "EIP-155 number of the chain"),
                text("contract_address", "contract, in small letters"),
                text("token_id", "uint256, decimal"),
                text("metadata_cid", "CID of the metadata, of which the token id is the digest"),
                text("owner", "who has it now; null when it was burnt", nullable=True),
                text("minted_to", "who got it first"),
                whole("minted_block", "height of the block that minted it"),
                instant("minted_at", "when that block was made"),
                text("mint_tx_hash", "transaction that minted it"),
                whole("transfers", "transfers of any kind, the mint among them"),
                whole("last_block", "height of the newest of them"),
                column("is_final", pa.bool_(), "whether the newest of them was final when the chain was last read"),
            ]
        ),
        primary_key=("chain_id", "contract_address", "token_id"),
        constraints={"is_once": "transfers >= 1"},
    ),
)
