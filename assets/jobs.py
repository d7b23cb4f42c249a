"""Jobs: named selections of the graph.

Belongs here: what runs together. Does not belong here: when (assets.schedules), or how an asset is made.
"""

from __future__ import annotations

import dagster as dg

from assets import compute, tracing
from nexus.settings import Settings

PIPELINE = "pipeline"
EVENTS = "events"
CORE = "core"
CARE = "care"
CHAIN = "chain"
SWEEP = "sweep"
CARE_GROUP = "care"
CHAIN_ASSETS = ("raw_chain__logs", "core_chain__events", "core_chain__transfers", "marts_chain__tokens")
SWEEP_ASSETS = ("model_recommender__sweep",)


def build(settings: Settings) -> list[dg.UnresolvedAssetJobDefinition]:
    """Every job of the code location."""
    chain = dg.AssetSelection.assets(*CHAIN_ASSETS)
    sweep = dg.AssetSelection.assets(*SWEEP_ASSETS)
    return [
        dg.define_asset_job(
            PIPELINE,
            selection=dg.AssetSelection.all() - dg.AssetSelection.groups(CARE_GROUP, "reports") - chain - sweep,
            description="Everything, from what arrived to what is served: raw, core, marts, features, models, serving.",
            executor_def=tracing.in_process(),
            tags=compute.run_tags(settings),
        ),
        dg.define_asset_job(
            CORE,
            selection=dg.AssetSelection.groups("core") - chain,
            description="Judge every raw row by today's rules: what is accepted, and what is quarantined.",
            executor_def=tracing.in_process(),
        ),
        dg.define_asset_job(
            CARE,
            selection=dg.AssetSelection.groups(CARE_GROUP),
            description="Compact, order, checkpoint and vacuum the lake's tables.",
            executor_def=tracing.in_process(),
        ),
        dg.define_asset_job(
            CHAIN,
            selection=chain,
            description="What the chain says of our contracts: read its logs, decode them, make the table of tokens.",
            executor_def=tracing.in_process(),
        ),
        dg.define_asset_job(
            SWEEP,
            selection=sweep,
            description="Compare recipes, seeds and values on what the platform trains on; its configuration says which.",
            executor_def=tracing.in_process(),
            tags=compute.run_tags(settings),
        ),
        dg.define_asset_job(
            EVENTS,
            selection=dg.AssetSelection.assets("raw_nexus__events", "core_nexus__events", "raw_nexus__recommendations"),
            description="Only what the API received: drain the stream into the lake, refresh the days that changed.",
            executor_def=tracing.in_process(),
        ),
    ]
