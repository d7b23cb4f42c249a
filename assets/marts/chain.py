"""Layer marts, the chain: the table of tokens, compared with the chain itself and with what mints recorded.

Belongs here: the thin asset, its checks. Does not belong here: the rules (nexus.lake.transforms.chain), asking the chain
(contracts.client.logs.audit).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl

from assets.resources import PlatformResource
from assets.tables import described, remade
from contracts.client.chains import chain_of
from contracts.client.ipfs.cids import cid_of_token
from contracts.client.logs.audit import Tokens, audit
from contracts.client.logs.journal import LakeJournal
from contracts.client.logs.source import recorded
from nexus.db.pool import connect
from nexus.lake.lake import Lake
from nexus.lake.transforms import chain
from nexus.settings import Settings

UNDER_WAY = timedelta(minutes=15)
"""A token younger than this may not be recorded yet: a mint is recorded when it is final."""
_SHOWN = 20


@dg.asset(**described(chain.TOKENS, kinds=("deltalake", "polars")), deps=[chain.TRANSFERS])
def marts_chain__tokens(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Who owns which token, minted where, for which metadata."""
    return remade(platform, chain.TOKENS, (chain.TRANSFERS,), _tokens)


def _tokens(transfers: pl.DataFrame) -> pl.DataFrame:
    return chain.tokens(transfers, cid_of_token)


@dg.asset_check(
    asset=chain.TOKENS, name="is_the_chains", description="owners, balances and transfers are those of the chain"
)
def is_the_chains(platform: PlatformResource) -> dg.AssetCheckResult:
    """Ask the chain itself, at one block, and compare."""
    settings, lake = platform.settings(), platform.lake()
    table = tokens_of(settings, lake) if settings.web3.enabled else None
    if table is None:
        return dg.AssetCheckResult(passed=True, metadata={"compared": _why_not(settings)})
    state = LakeJournal(lake, chain_of(settings).chain_id).state()
    assert state is not None  # noqa: S101 - there are tokens, so the chain was read
    done = audit(settings, table, state)
    return dg.AssetCheckResult(
        passed=not done.differing,
        metadata={
            "block": done.block,
            "tokens": done.tokens,
            "owners": done.owners,
            "transfers": "not counted: too many blocks" if done.transfers is None else done.transfers,
            "differing": dg.MetadataValue.json(done.differing[:_SHOWN]),
        },
    )


@dg.asset_check(
    asset=chain.TOKENS, name="is_the_databases", description="the platform recorded every token, and no other"
)
def is_the_databases(platform: PlatformResource) -> dg.AssetCheckResult:
    """Compare with ``nexus_web3.nft_content``."""
    settings = platform.settings()
    if not settings.web3.enabled:
        return dg.AssetCheckResult(passed=True, metadata={"compared": _why_not(settings)})
    rows = pl.DataFrame(platform.lake().read(chain.TOKENS)).filter(pl.col("chain_id") == chain_of(settings).chain_id)
    recorded_rows, ours = _recorded_tokens(settings)
    found = differences(rows, recorded_rows, ours, now=datetime.now(UTC))
    return dg.AssetCheckResult(
        passed=not any(found.values()),
        metadata={name: dg.MetadataValue.json(values[:_SHOWN]) for name, values in found.items()},
    )


def tokens_of(settings: Settings, lake: Lake) -> Tokens | None:
    """What the table says of the media contract in use; None before anything was read of it."""
    chain_id = chain_of(settings).chain_id
    addresses = [one.address for one in recorded(settings, chain_of(settings)) if one.name == chain.MEDIA]
    if not addresses or LakeJournal(lake, chain_id).state() is None:
        return None
    is_mine = (pl.col("chain_id") == chain_id) & (pl.col("contract_address") == addresses[0])
    owners = lake.scan(chain.TOKENS).filter(is_mine).select("token_id", "owner").collect()
    blocks = lake.scan(chain.TRANSFERS).filter(is_mine).group_by("block_number").len().collect()
    return Tokens(addresses[0], {int(token): owner for token, owner in owners.iter_rows()}, dict(blocks.iter_rows()))


def differences(
    tokens: pl.DataFrame, recorded_rows: list[dict[str, Any]], ours: Collection[str], *, now: datetime
) -> dict[str, list[dict[str, Any]]]:
    """What table and database say otherwise.

    Args:
        tokens: marts_chain__tokens of the chain.
        recorded_rows: Rows of ``nexus_web3.nft_content`` that carry a proof.
        ours: Hashes of the platform's own transactions; tokens that others mint are theirs.
        now: The time; what is younger than ``UNDER_WAY`` may not have arrived yet.
    """
    border = now - UNDER_WAY
    on_chain = {(row["contract_address"], int(row["token_id"])): row for row in tokens.iter_rows(named=True)}
    by_us = {(row["contract_address"].lower(), int(row["token_id"])): row for row in recorded_rows}
    return {
        "recorded_but_not_on_chain": [
            _named(*key) for key, row in by_us.items() if key not in on_chain and row["minted_at"] < border
        ],
        "on_chain_but_not_recorded": [
            _named(*key)
            for key, row in on_chain.items()
            if key not in by_us and row["mint_tx_hash"] in ours and row["is_final"] and row["minted_at"] < border
        ],
        "other_transaction": [
            _named(*key) | {"recorded": row["tx_hash"], "chain": on_chain[key]["mint_tx_hash"]}
            for key, row in by_us.items()
            if key in on_chain and row["tx_hash"] != on_chain[key]["mint_tx_hash"]
        ],
    }


def _recorded_tokens(settings: Settings) -> tuple[list[dict[str, Any]], set[str]]:
    """Rows of tokens, and hashes of all transactions that the platform ever signed."""
    chain_id = chain_of(settings).chain_id
    with connect(settings, "pipeline") as connection:
        cursor = connection.execute(
            "select contract_address, token_id, tx_hash, minted_at from nexus_web3.nft_content where chain_id = %s",
            (chain_id,),
        )
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        signed = connection.execute("select hash from nexus_web3.attempts where chain_id = %s", (chain_id,)).fetchall()
    return rows, {str(one) for (one,) in signed}


def _named(contract: str, token: int) -> dict[str, Any]:
    return {"contract_address": contract, "token_id": str(token)}


def _why_not(settings: Settings) -> str:
    return "nothing: no contract of tokens was read yet" if settings.web3.enabled else "nothing: web3 is off"
