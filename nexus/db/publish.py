"""From the lake to where it is served: viewers, titles, interactions and figures into Postgres, histories into Redis.

Belongs here: the order, and what is published of which table. Does not belong here: SQL (each table's module).
Everything merges: what Postgres and Redis know beyond the lake (events of the last minutes) stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import redis

from nexus.db.bulk import BulkResult
from nexus.db.content import copy_content
from nexus.db.interactions import copy_interactions
from nexus.db.pool import connect
from nexus.db.redis_history import Filled, fill
from nexus.db.statistics import refresh_daily_engagement, replace_title_popularity
from nexus.db.users import copy_users
from nexus.errors import unavailable
from nexus.settings import Settings


@dataclass(frozen=True)
class Facts:
    """What the lake has to publish.

    Attributes:
        viewers: ``user_id``, ``user_ref``: under which references viewers came, one row per pair.
        titles: In the shape of core_nexus__titles.
        interactions: In the shape of marts_nexus__interactions, with hides and shares too (:func:`with_all_types`).
        popularity: In the shape of marts_nexus__title_stats.
    """

    viewers: pl.DataFrame
    titles: pl.DataFrame
    interactions: pl.DataFrame
    popularity: pl.DataFrame


@dataclass(frozen=True)
class Published:
    """What each step did."""

    viewers: BulkResult
    titles: BulkResult
    interactions: BulkResult
    popularity: BulkResult
    engagement_days: int
    history: Filled


def with_all_types(interactions: pl.DataFrame, events: pl.DataFrame, loaded: pl.DataFrame) -> pl.DataFrame:
    """Interactions, and those events that say nothing about taste (share, hide, unhide).

    Args:
        interactions: In the shape of marts_nexus__interactions.
        events: In the shape of core_nexus__events.
        loaded: In the shape of core_loaded__interactions.
    """
    known = interactions.select("event_id")
    others = [
        rows.join(known, on="event_id", how="anti").select(
            "user_id",
            "content_id",
            "event_id",
            pl.col("event_type").alias("interaction_type"),
            "value",
            "occurred_at",
            source.alias("source"),
        )
        for rows, source in ((loaded, pl.col("source")), (events, pl.lit("nexus")))
    ]
    return pl.concat([interactions.select(others[0].columns), *others]).unique(
        "event_id", keep="first", maintain_order=True
    )


def publish(settings: Settings, facts: Facts) -> Published:
    """Write the facts; doing it twice changes nothing.

    Raises:
        NexusError: category ``unavailable`` when Postgres or Redis does not answer.
    """
    with connect(settings, "pipeline") as connection:
        viewers = copy_users(connection, facts.viewers)
        titles = copy_content(connection, facts.titles)
        interactions = copy_interactions(connection, facts.interactions)
        popularity = replace_title_popularity(connection, facts.popularity)
        days = refresh_daily_engagement(connection)
        try:
            with redis.Redis.from_url(settings.redis.dsn(), socket_timeout=60, socket_connect_timeout=5) as client:
                history = fill(connection, client)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise unavailable(
                "Redis does not answer", remedy="see bin/nexus status and bin/nexus logs redis"
            ) from error
    return Published(viewers, titles, interactions, popularity, days, history)
