"""Viewers: who they are, and what others call them.

Belongs here: reading and writing nexus_core.users and its external ids. Does not belong here: what viewers did.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

import polars as pl
import psycopg

from nexus import ids
from nexus.db.bulk import BulkResult, Frame, as_polars, stage

_ENSURE = "insert into nexus_core.users (id) select unnest(%s::uuid[]) on conflict do nothing"
_ENSURE_IDS = """
insert into nexus_core.user_external_ids (issuer, value, user_id)
select * from unnest(%s::text[], %s::text[], %s::uuid[]) on conflict do nothing
"""


async def find_user(connection: psycopg.AsyncConnection, identifier: uuid.UUID | ids.Reference) -> uuid.UUID | None:
    """The internal id of a viewer, or None."""
    if isinstance(identifier, ids.Reference):
        cursor = await connection.execute(
            "select user_id from nexus_core.user_external_ids where issuer = %s and value = %s",
            (identifier.issuer, identifier.value),
        )
    else:
        cursor = await connection.execute("select id from nexus_core.users where id = %s", (identifier,))
    row = await cursor.fetchone()
    return row[0] if row else None


def example_viewer(connection: psycopg.Connection, preferred: ids.Reference) -> str | None:
    """A viewer to show recommendations of: the preferred one where it exists, else who watched most; None: nobody."""
    row = connection.execute(
        """
        select issuer || ':' || value from nexus_core.user_external_ids
        where (issuer, value) = (%(issuer)s, %(value)s) or user_id = (
          select user_id from nexus_ai.user_interactions group by user_id order by count(*) desc, user_id limit 1)
        order by (issuer, value) = (%(issuer)s, %(value)s) desc, issuer, value limit 1
        """,
        {"issuer": preferred.issuer, "value": preferred.value},
    ).fetchone()
    return row[0] if row else None


async def resolve_users(
    connection: psycopg.AsyncConnection, references: Iterable[ids.Reference]
) -> dict[ids.Reference, uuid.UUID]:
    """The internal ids of those references that are known."""
    asked = list(set(references))
    cursor = await connection.execute(
        "select issuer, value, user_id from nexus_core.user_external_ids"
        " where (issuer, value) in (select * from unnest(%s::text[], %s::text[]))",
        ([r.issuer for r in asked], [r.value for r in asked]),
    )
    return {ids.Reference(issuer, value): user_id async for issuer, value, user_id in cursor}


async def ensure_users(
    connection: psycopg.AsyncConnection, viewers: Sequence[tuple[uuid.UUID, ids.Reference | uuid.UUID | str]]
) -> None:
    """Create the viewers that are missing, with the reference they were first seen under.

    Args:
        connection: As nexus_api or nexus_pipeline.
        viewers: Internal id, and the id as the sender wrote it (a UUID leaves no external id behind).
    """
    wanted = sorted(set(viewers), key=lambda viewer: (viewer[0], str(viewer[1])))
    if not wanted:
        return
    parsed = [(ids.parse(ref) if isinstance(ref, str) else ref, user_id) for user_id, ref in wanted]
    external = [(ref.issuer, ref.value, user_id) for ref, user_id in parsed if isinstance(ref, ids.Reference)]
    async with connection.transaction():
        await connection.execute(_ENSURE, (sorted({user_id for user_id, _ in wanted}),))
        if external:
            issuers, values, user_ids = zip(*sorted(external), strict=True)
            await connection.execute(_ENSURE_IDS, (list(issuers), list(values), list(user_ids)))


async def list_users(
    connection: psycopg.AsyncConnection, *, limit: int = 100, after: uuid.UUID | None = None
) -> list[tuple[uuid.UUID, tuple[ids.Reference, ...]]]:
    """Viewers with their external ids, by internal id, a page at a time."""
    cursor = await connection.execute(
        "select u.id, coalesce(array_agg(x.issuer order by x.issuer, x.value) filter (where x.issuer is not null), '{}'),"
        " coalesce(array_agg(x.value order by x.issuer, x.value) filter (where x.issuer is not null), '{}')"
        " from (select id from nexus_core.users where id > %s order by id limit %s) u"
        " left join nexus_core.user_external_ids x on x.user_id = u.id group by u.id order by u.id",
        (after or uuid.UUID(int=0), limit),
    )
    return [
        (user_id, tuple(ids.Reference(*pair) for pair in zip(issuers, values, strict=True)))
        async for user_id, issuers, values in cursor
    ]


def copy_users(connection: psycopg.Connection, frame: Frame) -> BulkResult:
    """Create the viewers that are missing.

    Args:
        connection: As nexus_pipeline.
        frame: Columns ``user_id`` and ``user_ref`` (``issuer:value``, or null: no external id); one row per pair.
    """
    viewers = as_polars(frame).select(
        "user_id",
        pl.col("user_ref").str.extract(r"^([a-z][a-z0-9_.-]{0,31}):", 1).alias("issuer"),
        pl.col("user_ref").str.extract(r"^[^:]*:(.+)$", 1).alias("value"),
    )
    with connection.transaction():
        stage(connection, "staged_users", {"user_id": "uuid", "issuer": "text", "value": "text"}, viewers)
        written = connection.execute(
            "insert into nexus_core.users (id) select distinct user_id from staged_users order by 1"
            " on conflict do nothing"
        ).rowcount
        connection.execute(
            "insert into nexus_core.user_external_ids (issuer, value, user_id) select issuer, value, user_id"
            " from staged_users where issuer is not null and value is not null order by 1, 2 on conflict do nothing"
        )
    return BulkResult(rows=viewers.height, written=written)
