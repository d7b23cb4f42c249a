"""What happens by itself: which assets have to be how fresh, and which are made when what they are made from changed.

Belongs here: freshness policies and automation conditions, by asset, and the sensor that evaluates them. Does not belong
here: runs of jobs (assets.schedules, assets.news), how an asset is made.

Models are never made by a condition: a training is asked for by the schedule or by the sensor ``new_data``, one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from nexus.settings import Settings

DAILY = frozenset(
    {
        "core_movielens__ratings",
        "core_nexus__events",
        "marts_nexus__interactions",
        "feast_online__recommender",
        "serving_nexus__facts",
        "model_recommender__evaluation",
    }
)
"""Made at least by the nightly run; older than ``training.stale_after_h`` means that nights were missed."""

FOLLOWING = frozenset(
    {
        "marts_nexus__interactions",
        "marts_nexus__title_stats",
        "marts_nexus__viewer_stats",
        "marts_nexus__popularity_daily",
        "features_nexus__viewer",
        "features_nexus__title",
        "feast_online__recommender",
        "serving_nexus__facts",
        "content_embeddings",
        "reports_nexus__drift",
        "reports_nexus__quality",
    }
)
"""Made anew after what they are made from, outside the pipeline too: what the API received reaches marts and features."""

_EVERY_S = 60


def condition() -> dg.AutomationCondition[Any]:
    """Some table that it is made from was written since it was made or asked for, and none is being written now.

    Not Dagster's ``eager()``: that waits until no partition of a parent is missing, and most days have no events.
    """
    return (
        dg.AutomationCondition.any_deps_updated().since_last_handled()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
    ).with_label("after_what_it_is_made_from")


def freshness(settings: Settings) -> dg.FreshnessPolicy:
    """How old a daily asset may be."""
    hours = settings.training.stale_after_h
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours), warn_window=timedelta(hours=hours * 0.75))


def automated(assets: Sequence[Any], settings: Settings) -> list[Any]:
    """The same assets with their policies and conditions."""
    policy, rule = freshness(settings), condition()

    def decided(spec: dg.AssetSpec) -> dg.AssetSpec:
        name = spec.key.to_user_string()
        if name in DAILY:
            spec = spec.replace_attributes(freshness_policy=policy)
        if name in FOLLOWING:
            spec = spec.replace_attributes(automation_condition=rule)
        return spec

    return [one.map_asset_specs(decided) if isinstance(one, dg.AssetsDefinition) else one for one in assets]


def sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensor that evaluates the conditions; it runs from the start, unless the settings leave everything to people."""
    is_on = settings.training.is_automatic
    return [
        dg.AutomationConditionSensorDefinition(
            name="after_changes",
            target=dg.AssetSelection.assets(*sorted(FOLLOWING)),
            minimum_interval_seconds=_EVERY_S,
            default_status=dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED,
            run_tags={"nexus/by": "after_changes"},
            description="Makes marts, features, what is served and reports anew after what they are made from changed.",
        )
    ]
