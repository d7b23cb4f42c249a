"""Viewer events, from JSON as drained to typed rows, one per event id.

Belongs here: Spark DataFrame functions without side effects. Does not belong here: reading and writing tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus.events import EventType
from nexus.lake.transforms.columns import first_problem, problem
from nexus.lake.transforms.titles import stream_position

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_EVENT = (
    "event_id string, type string, user_id string, user_ref string, content_id string, value double, "
    "occurred_at string, received_at string"
)


def judged(raw: DataFrame) -> DataFrame:
    """Every entry with ``event`` (typed), ``refusal`` and ``is_current``: the first entry of an event id wins.

    Entries that repeat an event id are neither current nor refused: a sender may send twice.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    typed = raw.withColumn("event", F.from_json("body", _EVENT))
    event = F.col("event")
    typed = typed.withColumns(
        {
            "occurred": event["occurred_at"].try_cast("timestamp"),
            "received": event["received_at"].try_cast("timestamp"),
            **stream_position(),
        }
    )
    refusal = first_problem(
        (event["event_id"].isNull(), problem("event_id", F.col("body"), "is missing or the entry is not JSON")),
        (~_known_type(), problem("type", event["type"], "is not a known type of event")),
        (~_is_uuid("user_id"), problem("user_id", event["user_id"], "is not a UUID")),
        (~_is_uuid("content_id"), problem("content_id", event["content_id"], "is not a UUID")),
        (~F.coalesce(event["value"].between(0.0, 5.0), F.lit(True)), problem("value", event["value"], "is not 0 to 5")),
        (F.col("occurred").isNull(), problem("occurred_at", event["occurred_at"], "is not a time")),
        (F.col("received").isNull(), problem("received_at", event["received_at"], "is not a time")),
    )
    typed = typed.withColumn("refusal", refusal)
    good = F.col("refusal").isNull()
    first = Window.partitionBy(event["event_id"], good).orderBy("stream_ms", "stream_seq")
    return typed.withColumn("is_current", good & (F.row_number().over(first) == 1))


def _known_type() -> Column:
    from pyspark.sql import functions as F  # noqa: N812

    return F.coalesce(F.col("event")["type"].isin(*(str(kind) for kind in EventType)), F.lit(False))


def _is_uuid(name: str) -> Column:
    from pyspark.sql import functions as F  # noqa: N812

    return F.coalesce(F.col("event")[name].rlike(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z"), F.lit(False))


def accepted(rows: DataFrame) -> DataFrame:
    """The good events, each once, as core_nexus__events."""
    from pyspark.sql import functions as F  # noqa: N812

    event = F.col("event")
    return (
        rows.where(F.col("is_current"))
        .select(
            event["event_id"].alias("event_id"),
            event["type"].alias("event_type"),
            event["user_id"].alias("user_id"),
            F.coalesce(event["user_ref"], event["user_id"]).alias("user_ref"),
            event["content_id"].alias("content_id"),
            event["value"].alias("value"),
            F.col("occurred").alias("occurred_at"),
            F.col("received").alias("received_at"),
            "stream_id",
            "day",
        )
        .orderBy("day", "received_at", "event_id")
    )
