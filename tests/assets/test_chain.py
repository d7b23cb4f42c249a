"""The chain's assets: a run makes the table of tokens, its checks compare it, the sensor asks only when it is worth it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import psycopg
import pytest
from pydantic import SecretStr

from assets import chain
from assets.definitions import build_defs
from assets.marts.chain import differences, is_the_chains
from assets.resources import with_settings
from contracts.devnode import DevNode
from nexus.db.pool import connect
from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake
from nexus.settings import Settings
from tests.contracts.logs.anvil import CHAIN, MediaNode, own_anvil

__all__ = ["own_anvil"]
NOW = datetime(2026, 11, 23, tzinfo=UTC)
MEDIA = "0x" + "5e" * 20


def run(settings: Settings) -> dg.ExecuteInProcessResult:
    made = build_defs(resource_overrides={"platform": with_settings(settings)}).resolve_job_def("chain")
    return made.execute_in_process(instance=dg.DagsterInstance.ephemeral())


def asked(settings: Settings) -> str:
    """What the sensor does: the reason of a run, or ``skip:`` and why."""
    (sensor,) = chain.sensors(settings)
    resources = {"platform": with_settings(settings)}
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, resources=resources) as context,
    ):
        found: Any = sensor(context)
    return f"skip: {found.skip_message}" if isinstance(found, dg.SkipReason) else found.tags["nexus/reason"]


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {
        f"{one.asset_key.to_user_string()}/{one.check_name}": one.passed
        for one in result.get_asset_check_evaluations()
        if one.check_name.startswith("is_")
    }


@pytest.mark.integration
def test_chain__without_web3__makes_empty_tables_asks_nobody_and_passes(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert asked(settings) == "skip: web3 is off (web3.enabled)"
    result = run(settings)
    assert result.success
    assert all(checks(result).values())
    assert Lake.from_settings(settings).count("marts_chain__tokens") == 0


@pytest.mark.integration
def test_chain__no_node_there__the_sensor_waits_and_says_why(settings: Settings, tmp_path: Path) -> None:
    away = settings.model_copy(
        update={
            "home": tmp_path,
            "web3": settings.web3.model_copy(update={"enabled": True, "media_contract": MEDIA, "rpc_urls": ()}),
        }
    )
    assert asked(away) == "the chain was never read"
    _seen_before(away)
    assert asked(away).startswith("skip: the chain has no address")


def _seen_before(settings: Settings) -> None:
    """A chain that was read once, when it was there."""
    from contracts.client.logs.journal import LakeJournal
    from contracts.client.logs.state import State
    from contracts.client.logs.values import Point

    journal = LakeJournal(Lake.from_settings(settings), CHAIN.chain_id)
    journal.state()
    point = Point(0, "0x" + "00" * 32)
    journal.commit(State(point.hash, point, (point,), {MEDIA: "NexusMedia"}, 0, 0), (), (), "")


@pytest.fixture
def minting(settings: Settings, own_anvil: DevNode, tmp_path: Path) -> tuple[Settings, MediaNode]:
    """A platform with a chain, and NexusMedia on it."""
    media = MediaNode.on(own_anvil)
    web3 = {"enabled": True, "rpc_urls": (SecretStr(own_anvil.url),), "media_contract": media.address}
    return settings.model_copy(update={"home": tmp_path, "web3": settings.web3.model_copy(update=web3)}), media


@pytest.mark.integration
def test_chain__mints_and_a_reorganisation__the_table_is_the_chains_after_each_run(
    minting: tuple[Settings, MediaNode],
) -> None:
    settings, media = minting
    lake = Lake.from_settings(settings)
    media.mint(1, 2, 3)
    assert asked(settings) == "the chain was never read"
    result = run(settings)
    assert checks(result) == {"marts_chain__tokens/is_the_chains": True, "marts_chain__tokens/is_the_databases": True}
    assert sorted(lake.read("marts_chain__tokens")["token_id"].to_pylist()) == ["1", "2", "3"]
    assert asked(settings) == "skip: nothing new on the chain"
    media.reorganise(1)
    assert asked(settings) == "blocks that were read are no longer the chain's"
    assert checks(run(settings))["marts_chain__tokens/is_the_chains"]
    assert sorted(lake.read("marts_chain__tokens")["token_id"].to_pylist()) == ["1", "2"]
    media.mint(4)
    assert asked(settings) == "1 logs wait"
    run(settings)
    version = lake.version("marts_chain__tokens")
    run(settings)
    assert lake.version("marts_chain__tokens") == version, "made anew though nothing changed"


@pytest.mark.integration
def test_chain__a_table_that_is_not_the_chains__fails_its_check(minting: tuple[Settings, MediaNode]) -> None:
    settings, media = minting
    media.mint(1, 2)
    run(settings)
    lake = Lake.from_settings(settings)
    rows = pl.DataFrame(lake.read("marts_chain__tokens")).with_columns(owner=pl.lit(MEDIA))
    lake.write("marts_chain__tokens", rows, mode="overwrite")
    found: Any = is_the_chains(with_settings(settings))
    assert not found.passed


def _tokens(*ids: int, minted_at: datetime = NOW - timedelta(days=1), is_final: bool = True) -> pl.DataFrame:
    rows = [
        {
            "chain_id": 1,
            "contract_address": MEDIA,
            "token_id": str(token),
            "minted_at": minted_at,
            "mint_tx_hash": f"0x{token}",
            "is_final": is_final,
        }
        for token in ids
    ]
    return pl.DataFrame(rows, schema=pl.DataFrame(declared("marts_chain__tokens").schema.empty_table()).schema)


def _row(token: int, *, minted_at: datetime = NOW - timedelta(days=1), tx_hash: str | None = None) -> dict[str, Any]:
    return {
        "contract_address": MEDIA,
        "token_id": token,
        "minted_at": minted_at,
        "tx_hash": tx_hash or f"0x{token}",
    }


@pytest.mark.unit
@pytest.mark.parametrize(
    ("tokens", "recorded", "wrong"),
    [
        (_tokens(1, 2), [_row(1), _row(2)], {}),
        (_tokens(1), [_row(1), _row(2)], {"recorded_but_not_on_chain": ["2"]}),
        (_tokens(1), [_row(1), _row(2, minted_at=NOW)], {}),
        (_tokens(1, 2), [_row(1)], {"on_chain_but_not_recorded": ["2"]}),
        (pl.concat([_tokens(1), _tokens(2, minted_at=NOW)]), [_row(1)], {}),
        (pl.concat([_tokens(1), _tokens(2, is_final=False)]), [_row(1)], {}),
        (_tokens(1), [_row(1, tx_hash="0xother")], {"other_transaction": ["1"]}),
        (_tokens(5), [], {}),
        (_tokens(1), [], {"on_chain_but_not_recorded": ["1"]}),
    ],
)
def test_differences__by_case__names_what_differs_for_good(
    tokens: pl.DataFrame, recorded: list[dict[str, Any]], wrong: dict[str, list[str]]
) -> None:
    found = differences(tokens, recorded, {"0x1", "0x2"}, now=NOW)
    assert {name: [one["token_id"] for one in rows] for name, rows in found.items() if rows} == wrong


@pytest.mark.integration
def test_roles__the_pipeline__reads_contracts_and_tokens_and_no_more(settings: Settings) -> None:
    with connect(settings, "pipeline") as connection:
        connection.execute("select name, address, deployed_at from nexus_web3.contracts")
        connection.execute("select contract_address, token_id, tx_hash, minted_at from nexus_web3.nft_content")
        connection.execute("select hash from nexus_web3.attempts")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("delete from nexus_web3.contracts")
