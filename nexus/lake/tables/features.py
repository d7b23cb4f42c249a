"""Layers features and training: feature values over time, and training examples joined as of their time.

Owned by the feature pipeline (features/, assets/features). How each value is computed: features/compute.py.
Columns that a model takes as they are lie between about 0 and 1 and are never null; the raw ones beside them are for
people and for other models.
"""

from __future__ import annotations

import pyarrow as pa

from nexus.lake.table import Table, instant, number, text, whole

_VIEWER = (
    whole("viewer_interactions", "interactions of the viewer up to then"),
    number("viewer_mean_value", "mean rating of the viewer up to then; null before the first", nullable=True),
    number("viewer_activity", "ln(1 + interactions) / ln(1001)"),
    number("viewer_rating_level", "mean rating / 5; 0 before the first"),
    number("viewer_rating_spread", "standard deviation of the viewer's ratings / 5"),
    number("viewer_tenure", "ln(1 + days since the first interaction) / ln(3651)"),
    number("viewer_pause", "ln(1 + days between the two newest moments of activity) / ln(366)"),
    number(
        "viewer_mainstream", "mean popularity of what the viewer chose, each at its time: 0 unknown titles, 1 the top"
    ),
)
_TITLE = (
    whole("title_interactions", "interactions with the title up to then"),
    whole("title_interactions_90d", "interactions with the title in the 90 days up to then"),
    number("title_mean_value", "mean rating of the title up to then; null before the first", nullable=True),
    number("title_age_days", "days since somebody watched or rated the title first"),
)

TABLES = (
    Table(
        name="features_nexus__viewer",
        description="Features of each viewer over time: one row per moment at which they did something, that included.",
        schema=pa.schema(
            [
                text("user_id", "internal id of the viewer (UUID)"),
                instant("event_timestamp", "known from then on"),
                *_VIEWER,
            ]
        ),
        primary_key=("user_id", "event_timestamp"),
        constraints={"interactions_positive": "viewer_interactions > 0"},
    ),
    Table(
        name="features_nexus__title",
        description="Features of each title over time: one row per moment at which something happened, that included.",
        schema=pa.schema(
            [
                text("content_id", "internal id of the title (UUID)"),
                instant("event_timestamp", "known from then on"),
                *_TITLE,
            ]
        ),
        primary_key=("content_id", "event_timestamp"),
        constraints={"interactions_positive": "title_interactions > 0"},
    ),
    Table(
        name="training_nexus__examples",
        description="Interactions with the features that were known strictly before each (as-of join), in order.",
        schema=pa.schema(
            [
                text("event_id", "the interaction"),
                text("user_id", "internal id of the viewer (UUID)"),
                text("content_id", "internal id of the title (UUID)"),
                text("interaction_type", "view, rate, like or dislike"),
                number("value", "value of the interaction", nullable=True),
                instant("occurred_at", "when it happened"),
                whole("position", "1 for the viewer's first interaction; ordered by occurred_at, then event_id"),
                whole("history_length", "interactions of the viewer in all"),
                text("split", "leave one out: test = the newest, validation = the one before, else train"),
                *(field.with_nullable(True) for field in (*_VIEWER, *_TITLE)),
            ]
        ),
        primary_key=("event_id",),
        constraints={"split_known": "split IN ('train','validation','test')"},
    ),
)
