"""Figures that the pipeline computes and the API reads.

Belongs here: popularity of titles, daily engagement. Does not belong here: computing them (assets/marts).
"""

from __future__ import annotations

import psycopg

from nexus.db.bulk import BulkResult, Frame, as_polars, stage

_COLUMNS = {
    "content_id": "uuid",
    "interactions": "bigint",
    "interactions_90d": "bigint",
    "mean_value": "double precision",
    "popularity_score": "double precision",
}

_MERGE = """
insert into nexus_analytics.title_popularity as p
  (content_id, interactions, interactions_90d, mean_value, popularity_score)
select s.content_id, s.interactions, s.interactions_90d, s.mean_value, s.popularity_score
from staged_popularity s join nexus_core.content c on c.id = s.content_id
on conflict (content_id) do update set interactions = excluded.interactions,
  interactions_90d = excluded.interactions_90d, mean_value = excluded.mean_value,
  popularity_score = excluded.popularity_score, updated_at = now()
where (p.interactions, p.interactions_90d, p.mean_value, p.popularity_score) is distinct from
  (excluded.interactions, excluded.interactions_90d, excluded.mean_value, excluded.popularity_score)
"""


def replace_title_popularity(connection: psycopg.Connection, frame: Frame) -> BulkResult:
    """Make nexus_analytics.title_popularity say what the frame says, in one transaction.

    Args:
        connection: As nexus_pipeline.
        frame: The columns of marts_nexus__title_stats; titles that the database does not know are skipped.
    """
    rows = as_polars(frame)
    with connection.transaction():
        stage(connection, "staged_popularity", _COLUMNS, rows)
        removed = connection.execute(
            "delete from nexus_analytics.title_popularity p"
            " where not exists (select from staged_popularity s where s.content_id = p.content_id)"
        ).rowcount
        known = connection.execute(
            "select count(*) from staged_popularity s join nexus_core.content c on c.id = s.content_id"
        ).fetchone()
        written = connection.execute(_MERGE).rowcount
    return BulkResult(rows=rows.height, written=written + removed, skipped=rows.height - (known[0] if known else 0))


def refresh_daily_engagement(connection: psycopg.Connection) -> int:
    """Recompute the engagement by day; readers don't wait.

    Returns:
        How many rows it has now.
    """
    connection.execute("select nexus_analytics.refresh_daily_engagement()")
    row = connection.execute("select count(*) from nexus_analytics.daily_engagement").fetchone()
    return row[0] if row else 0
