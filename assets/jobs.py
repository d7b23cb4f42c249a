"""Jobs: named selections of the graph.

Belongs here: what runs together. Does not belong here: when (assets.schedules), or how an asset is made.
"""

from __future__ import annotations

import dagster as dg

PIPELINE = "pipeline"
EVENTS = "events"


def build() -> list[dg.UnresolvedAssetJobDefinition]:
    """Every job of the code location."""
    return [
        dg.define_asset_job(
            PIPELINE,
            selection=dg.AssetSelection.all(),
            description="Everything, from what arrived to what is served: raw, core, marts, features, models, serving.",
            executor_def=dg.in_process_executor,
        ),
        dg.define_asset_job(
            EVENTS,
            selection=dg.AssetSelection.assets("raw_nexus__events", "core_nexus__events"),
            description="Only what the API received: drain the stream into the lake, refresh the days that changed.",
            executor_def=dg.in_process_executor,
        ),
    ]
