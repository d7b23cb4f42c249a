"""Layer raw, the chain: logs of our contracts, each once; those of orphaned blocks retracted.

Belongs here: the raw asset. Does not belong here: reading a chain, proofs, reorganisations (contracts.client.logs).
"""

from __future__ import annotations

import dagster as dg

from assets.resources import PlatformResource
from assets.tables import SERVER_MAY_RESTART, described, result
from contracts.client.logs.journal import TABLE
from contracts.client.logs.source import load
from contracts.client.logs.state import Followed
from nexus.lake.catalogue import declared


@dg.asset(**described(TABLE, kinds=("deltalake", "ethereum")), retry_policy=SERVER_MAY_RESTART)
def raw_chain__logs(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Append what is new on the chain, retract what is no longer part of it."""
    lake, settings = platform.lake(), platform.settings()
    if not lake.exists(TABLE):
        lake.write(TABLE, declared(TABLE).schema.empty_table(), mode="append")
    if not settings.web3.enabled:
        return result(lake, TABLE, rows_written=0, more={"chain": "web3 is off (web3.enabled)"})
    done = load(settings, lake)
    return result(lake, TABLE, rows_written=done.rows, more={"chain": settings.web3.chain, **_told(done)})


def _told(done: Followed) -> dict[str, dg.MetadataValue | int | str]:
    told: dict[str, dg.MetadataValue | int | str] = {
        "head": done.head,
        "orphaned": done.orphaned,
        "asked_again": done.tries,
        "blocks_unproven": done.unproven,
        "logs_left_out_by_a_node": done.omitted,
    }
    if done.state is not None:
        told |= {"read_to": done.state.at.number, "final": done.state.final, "life": done.state.life}
        told["contracts"] = dg.MetadataValue.json(dict(done.state.contracts))
    else:
        told["contracts"] = "none is in use yet: they are deployed with the first mint or when the platform starts"
    if done.forks:
        told["reorganisations"] = dg.MetadataValue.json(done.forks)
    if done.previous_life is not None:
        told["began_anew"] = f"the chain's first block was {done.previous_life} before; its tokens are gone"
    if done.is_behind:
        told["is_behind"] = "the node does not have what was read before; nothing was read"
    return told
