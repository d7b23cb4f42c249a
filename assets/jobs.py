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
CARE_GROUP = "care"


def build(settings: Settings) -> list[dg.UnresolvedAssetJobDefinition]:
    """Every job of the code location."""
    return [
        dg.define_asset_job(
            PIPELINE,
            selection=dg.AssetSelection.all() - dg.AssetSelection.groups(CARE_GROUP, "reports"),
            description="Everything, from what arrived to what is served: raw, core, marts, features, models, serving.",
            executor_def=tracing.in_process(),
            tags=compute.run_tags(settings),
        ),
        dg.define_asset_job(
            CORE,
            selection=dg.AssetSelection.groups("core"),
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
            EVENTS,
            selection=dg.AssetSelection.assets("raw_nexus__events", "core_nexus__events", "raw_nexus__recommendations"),
            description="Only what the API received: drain the stream into the lake, refresh the days that changed.",
            executor_def=tracing.in_process(),
        ),
    ]
