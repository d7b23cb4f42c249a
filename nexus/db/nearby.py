"""Who would like a title, and what is like it: questions about nearness that need facts beside the vectors.

Belongs here: bounded reads over embeddings joined with titles, viewers and interactions.
Does not belong here: one vector (nexus.db.embeddings), the served ranking (serving).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

import psycopg

NEAR_TITLES: Final = 50
"""Titles around the new one whose viewers are considered."""

LIKES_PER_TITLE: Final = 200
"""Newest likes that are read of each such title."""

CANDIDATES: Final = 300
"""Viewers that are scored."""

RECENT_LIKES: Final = 50
"""Newest likes of a viewer that count."""

BEST_LIKES: Final = 5
"""A viewer's score is the mean similarity of this many of their likes; missing ones count as 0."""

# A like: said so, shared, rated 4 or more, or watched at least half.
_LIKED: Final = """(i.interaction_type in ('like', 'share') or (i.interaction_type = 'rate' and i.interaction_value >= 4)
  or (i.interaction_type = 'view' and coalesce(i.interaction_value, 1) >= 0.5))"""

_AUDIENCE: Final = f"""
with target as materialized (
  select content_id, model, embedding from nexus_ai.embeddings where content_id = %(content_id)s and model = %(model)s),
near as materialized (
  select e.content_id, 1 - (e.embedding <=> (select embedding from target)) as similarity
  from nexus_ai.embeddings e where e.model = %(model)s and e.content_id <> %(content_id)s
  order by e.embedding <=> (select embedding from target) limit %(near_titles)s),
candidates as materialized (
  select l.user_id from near n cross join lateral (
    select i.user_id from nexus_ai.user_interactions i where i.content_id = n.content_id and {_LIKED}
    order by i.occurred_at desc limit %(likes_per_title)s) l
  group by l.user_id order by sum(greatest(n.similarity, 0)) desc, l.user_id limit %(candidates)s)
select c.user_id, s.score from candidates c
join nexus_core.users u on u.id = c.user_id and u.ai_enabled and u.personalization_level <> 'none'
cross join lateral (
  select sum(best.similarity) / %(best_likes)s as score from (
    select 1 - (e.embedding <=> (select embedding from target)) as similarity
    from (select distinct r.content_id from (
        select i.content_id from nexus_ai.user_interactions i where i.user_id = c.user_id and {_LIKED}
        order by i.occurred_at desc limit %(recent_likes)s) r) liked
    join nexus_ai.embeddings e on e.content_id = liked.content_id and e.model = %(model)s
    where e.content_id <> %(content_id)s
    order by similarity desc limit %(best_likes)s) best) s
where s.score is not null and not exists (
  select from nexus_ai.user_interactions i where i.user_id = c.user_id and i.content_id = %(content_id)s)
order by s.score desc, c.user_id limit %(limit)s
"""  # noqa: S608 - constants only


async def find_audience(
    connection: psycopg.AsyncConnection[Any], content_id: uuid.UUID, model: str, limit: int
) -> list[tuple[uuid.UUID, float]]:
    """The viewers whose recent likes are nearest in meaning to a title, best first.

    Left out: who has had to do with the title already (also who hid it), and who wants no personalisation. The work is
    bounded, whatever the size of the library: at most 50 titles, 200 likes of each, 300 viewers with 50 likes each.

    Args:
        connection: Of nexus.db.pool.
        content_id: A title that has a vector of this model.
        model: The sentence model.
        limit: How many viewers.

    Returns:
        Viewers and scores: the mean cosine similarity of the five likes nearest to the title.
    """
    cursor = await connection.execute(
        _AUDIENCE,
        {
            "content_id": content_id,
            "model": model,
            "limit": limit,
            "near_titles": NEAR_TITLES,
            "likes_per_title": LIKES_PER_TITLE,
            "candidates": CANDIDATES,
            "recent_likes": RECENT_LIKES,
            "best_likes": BEST_LIKES,
        },
    )
    return [(user_id, float(score)) async for user_id, score in cursor]


async def titles_of(connection: psycopg.AsyncConnection[Any], content_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, str]:
    """The names of titles; unknown ids are left out."""
    cursor = await connection.execute(
        "select id, title from nexus_core.content where id = any(%s::uuid[])", (list(content_ids),)
    )
    return {content_id: title async for content_id, title in cursor}
