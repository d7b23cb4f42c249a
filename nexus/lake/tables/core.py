"""Layer core: typed, deduplicated, one meaning per row; what was refused is kept in quarantine with the reason."""

from __future__ import annotations

import pyarrow as pa

from nexus.lake.table import EXTERNAL_IDS, Table, column, date, instant, number, text, whole

# delta-rs stores length(...) in a form that it cannot read back; LIKE every engine keeps.
_UUID = "{0} LIKE '________-____-____-____-____________'"

TABLES = (
    Table(
        name="core_movielens__ratings",
        description="Ratings that passed every check: one row per viewer, title and second.",
        schema=pa.schema(
            [
                text(
                    "event_id", "<issuer>:<userId>:<movieId>:<seconds>: the same rating has the same id in every load"
                ),
                text("user_id", "internal id of the viewer (UUID)"),
                text("content_id", "internal id of the title (UUID)"),
                text("user_ref", "<issuer>:<userId>; the issuer is movielens unless the load has one of its own"),
                text("content_ref", "<issuer>:<movieId>"),
                number("rating", "0.5 to 5 stars"),
                instant("rated_at", "when the viewer rated it"),
                text("load_id", "the load that brought it first"),
                whole("line_number", "line in that load's ratings file"),
            ]
        ),
        primary_key=("event_id",),
        constraints={
            "rating_range": "rating >= 0.5 AND rating <= 5.0",
            "user_id_uuid": _UUID.format("user_id"),
            "content_id_uuid": _UUID.format("content_id"),
        },
    ),
    Table(
        name="core_nexus__events",
        description="Viewer events of the API, typed, one row per event id.",
        schema=pa.schema(
            [
                text("event_id", "the sender's id of the event"),
                text("event_type", "view, rate, like, dislike, share, hide or unhide"),
                text("user_id", "internal id of the viewer (UUID)"),
                text("user_ref", "the viewer's id as the sender wrote it"),
                text("content_id", "internal id of the title (UUID)"),
                number("value", "rate: 0.5 to 5; view: share watched, 0 to 1", nullable=True),
                instant("occurred_at", "when it happened"),
                instant("received_at", "when the API took it"),
                text("stream_id", "id of the entry in the Redis stream"),
                date("day", "day on which the API received it, UTC"),
            ]
        ),
        partition_by=("day",),
        primary_key=("event_id",),
        constraints={
            "event_type_known": "event_type IN ('view','rate','like','dislike','share','hide','unhide')",
            "value_range": "value IS NULL OR (value >= 0.0 AND value <= 5.0)",
        },
    ),
    Table(
        name="core_loaded__interactions",
        description="What loaded tables and Jellyfin say that viewers did, typed, one row per event id.",
        schema=pa.schema(
            [
                text("event_id", "<issuer>:..., the same event has the same id in every load"),
                text("event_type", "view, rate, like, dislike, share, hide or unhide"),
                text("user_id", "internal id of the viewer (UUID)"),
                text("content_id", "internal id of the title (UUID)"),
                text("user_ref", "<issuer>:<the viewer's id there>"),
                text("content_ref", "<issuer>:<the title's id there>"),
                number("value", "rate: 0.5 to 5; view: share watched, 0 to 1", nullable=True),
                instant("occurred_at", "when it happened"),
                text("source", "who issued the viewer's id"),
                text("load_id", "the load that brought it first"),
                whole("line_number", "line in that load's file"),
            ]
        ),
        primary_key=("event_id",),
        constraints={
            "event_type_known": "event_type IN ('view','rate','like','dislike','share','hide','unhide')",
            "value_range": "value IS NULL OR (value >= 0.0 AND value <= 5.0)",
            "user_id_uuid": _UUID.format("user_id"),
            "content_id_uuid": _UUID.format("content_id"),
        },
    ),
    Table(
        name="core_nexus__titles",
        description="Every title that is known, whoever named it first: loads, Jellyfin and titles of the API.",
        schema=pa.schema(
            [
                text("content_id", "internal id of the title (UUID)"),
                text("title", "title without the year"),
                text("content_type", "movie, series, episode, ..."),
                column("year", pa.int32(), "year of release", nullable=True),
                column("genres", pa.list_(pa.string()), "genres in the order given; empty when none is listed"),
                text("overview", "what it is about", nullable=True),
                column("external_ids", EXTERNAL_IDS, "what others call it: issuer and value"),
                text("source", "who issued its first id; nexus: the API"),
                instant("updated_at", "when this row's facts reached the platform"),
            ]
        ),
        primary_key=("content_id",),
        constraints={
            "year_plausible": "year IS NULL OR (year >= 1870 AND year <= 2200)",
            "content_id_uuid": _UUID.format("content_id"),
        },
    ),
    Table(
        name="core_nexus__quarantine",
        description="What was refused, with field, value and reason; one row per refused line.",
        schema=pa.schema(
            [
                text("row_key", "source:load:file:line; the same line has the same key"),
                text(
                    "source",
                    "where it came from: movielens, table, jellyfin or nexus, and .ratings, .interactions, .events or .titles",
                ),
                text("load_id", "the load, or the stream"),
                whole("line_number", "line in the file; for streams the part of the entry id after the dash"),
                text("field", "the field at fault"),
                text("value", "its value, at most 200 characters", nullable=True),
                text("reason", "why it was refused"),
                text("raw_text", "the line as read, at most 2000 characters"),
                instant("quarantined_at", "when it was first refused"),
            ]
        ),
        primary_key=("row_key",),
    ),
)
