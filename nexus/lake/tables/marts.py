"""Layer marts: what others build on. Interactions are events that say something about taste (view, rate, like, dislike)."""

from __future__ import annotations

import pyarrow as pa

from nexus.lake.table import Table, date, instant, number, text, whole

TABLES = (
    Table(
        name="marts_nexus__interactions",
        description="The ordered history of every viewer: ratings, loaded interactions and events of the API, one row per event id.",
        schema=pa.schema(
            [
                text("user_id", "internal id of the viewer (UUID)"),
                text("content_id", "internal id of the title (UUID)"),
                text("event_id", "id of the event; unique"),
                text("interaction_type", "view, rate, like or dislike"),
                number("value", "rate: 0.5 to 5; view: share watched; otherwise null", nullable=True),
                instant("occurred_at", "when it happened"),
                text("source", "who issued the viewer's id; nexus: the API"),
            ]
        ),
        primary_key=("event_id",),
        constraints={
            "interaction_type_known": "interaction_type IN ('view','rate','like','dislike')",
            "value_range": "value IS NULL OR (value >= 0.0 AND value <= 5.0)",
        },
    ),
    Table(
        name="marts_nexus__title_stats",
        description="What is known about each title that anybody watched or rated, as of the newest interaction.",
        schema=pa.schema(
            [
                text("content_id", "internal id of the title (UUID)"),
                whole("interactions", "interactions of all time"),
                whole("viewers", "different viewers"),
                number("mean_value", "mean rating; null when nobody rated it", nullable=True),
                whole("interactions_90d", "interactions in the 90 days up to as_of"),
                number(
                    "popularity_score", "0 to 1: ln(1+interactions) + ln(1+interactions_90d), over the largest such sum"
                ),
                instant("last_interaction_at", "newest interaction with the title"),
                instant("as_of", "newest interaction of all: the data's own now"),
            ]
        ),
        primary_key=("content_id",),
        constraints={
            "interactions_positive": "interactions > 0",
            "popularity_range": "popularity_score >= 0.0 AND popularity_score <= 1.0",
        },
    ),
    Table(
        name="marts_nexus__viewer_stats",
        description="What is known about each viewer.",
        schema=pa.schema(
            [
                text("user_id", "internal id of the viewer (UUID)"),
                whole("interactions", "interactions of all time"),
                number("mean_value", "mean rating; null when the viewer rated nothing", nullable=True),
                instant("first_at", "first interaction"),
                instant("last_at", "newest interaction"),
            ]
        ),
        primary_key=("user_id",),
        constraints={"interactions_positive": "interactions > 0", "order_of_time": "first_at <= last_at"},
    ),
    Table(
        name="marts_nexus__popularity_daily",
        description="How each title's popularity grew: one row per title and day on which somebody watched or rated it.",
        schema=pa.schema(
            [
                date("day", "day, UTC"),
                text("content_id", "internal id of the title (UUID)"),
                whole("interactions", "interactions on that day"),
                whole("cumulative_interactions", "interactions up to and including that day"),
            ]
        ),
        primary_key=("day", "content_id"),
        constraints={"cumulative": "interactions > 0 AND cumulative_interactions >= interactions"},
    ),
)
