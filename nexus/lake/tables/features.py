"""Layers features and training: feature values over time, and training examples joined as of their time.

Owned by the feature pipeline (features/, assets/features).
"""

from __future__ import annotations

import pyarrow as pa

from nexus.lake.table import Table, instant, number, text, whole

_VIEWER = (
    whole("viewer_interactions", "interactions of the viewer up to then"),
    number("viewer_mean_value", "mean rating of the viewer up to then", nullable=True),
)
_TITLE = (
    whole("title_interactions", "interactions with the title up to then"),
    number("title_mean_value", "mean rating of the title up to then", nullable=True),
)

TABLES = (
    Table(
        name="features_nexus__viewer",
        description="Features of each viewer over time.",
        schema=pa.schema(
            [
                text("user_id", "internal id of the viewer (UUID)"),
                instant("event_timestamp", "known from then on"),
                *_VIEWER,
            ]
        ),
        primary_key=("user_id", "event_timestamp"),
    ),
    Table(
        name="features_nexus__title",
        description="Features of each title over time.",
        schema=pa.schema(
            [
                text("content_id", "internal id of the title (UUID)"),
                instant("event_timestamp", "known from then on"),
                *_TITLE,
            ]
        ),
        primary_key=("content_id", "event_timestamp"),
    ),
    Table(
        name="training_nexus__examples",
        description="Interactions with the features that were known just before each (as-of join).",
        schema=pa.schema(
            [
                text("event_id", "the interaction"),
                text("user_id", "internal id of the viewer (UUID)"),
                text("content_id", "internal id of the title (UUID)"),
                number("value", "value of the interaction", nullable=True),
                instant("occurred_at", "when it happened"),
                *(field.with_nullable(True) for field in (*_VIEWER, *_TITLE)),
            ]
        ),
        primary_key=("event_id",),
    ),
)
