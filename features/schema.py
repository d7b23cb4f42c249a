"""Names of the features, and which of them a model is given.

Belongs here: names and their order. Does not belong here: how they are computed (features.compute) or stored
(nexus.lake.tables.features, features.definitions); a test holds the three together.
"""

from __future__ import annotations

from typing import Final

CONTEXT_FEATURES: Final[tuple[str, ...]] = (
    "viewer_activity",
    "viewer_rating_level",
    "viewer_rating_spread",
    "viewer_tenure",
    "viewer_pause",
    "viewer_mainstream",
)
"""The model's input ``context``, in this order. 0 stands for what is not known (a new viewer)."""

VIEWER_FEATURES: Final[tuple[str, ...]] = ("viewer_interactions", "viewer_mean_value", *CONTEXT_FEATURES)
TITLE_FEATURES: Final[tuple[str, ...]] = (
    "title_interactions",
    "title_interactions_90d",
    "title_mean_value",
    "title_age_days",
)
TIMESTAMP: Final = "event_timestamp"
HISTORY_ORDER: Final[tuple[str, ...]] = ("occurred_at", "event_id")
"""The order of a viewer's history. Sources give seconds, so ties are common; the event id, which is the same in every
load, breaks them."""
