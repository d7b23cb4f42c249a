"""Titles: one by one for the API and workflows, all at once for the pipeline.

Belongs here: reading and writing nexus_core.content and its external ids. Does not belong here: vectors, popularity.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Final, Literal, get_args

import polars as pl
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, Field

from nexus import ids
from nexus.db.bulk import BulkResult, Frame, as_polars, json_column, stage
from nexus.errors import Category, NexusError

ContentType = Literal[
    "movie",
    "series",
    "season",
    "episode",
    "short",
    "trailer",
    "clip",
    "song",
    "album",
    "podcast",
    "audiobook",
    "other",
]
CONTENT_TYPES: Final[tuple[str, ...]] = get_args(ContentType)


class ContentRecord(BaseModel):
    """A title as the database knows it."""

    model_config = ConfigDict(frozen=True)

    content_id: uuid.UUID
    title: str = Field(min_length=1, max_length=500)
    content_type: str
    year: int | None = Field(None, ge=1850, le=2200)
    genres: tuple[str, ...] = ()
    overview: str | None = Field(None, max_length=20_000)
    external_ids: tuple[ids.Reference, ...] = ()
    metadata: dict[str, Any] = Field(default_factory=dict)


class CatalogueRow(ContentRecord):
    """A title with how much it is watched; zeros when nobody has yet."""

    popularity_score: float = 0.0
    interactions: int = 0
    mean_value: float | None = None


_FIELDS = """c.id as content_id, c.title, c.content_type, c.year, c.genres, c.overview, c.metadata,
  coalesce((select jsonb_agg(jsonb_build_object('issuer', x.issuer, 'value', x.value) order by x.issuer, x.value)
            from nexus_core.content_external_ids x where x.content_id = c.id), '[]') as external_ids"""

_UPSERT = """
insert into nexus_core.content as c (id, title, content_type, year, genres, overview, metadata)
values (%(content_id)s, %(title)s, %(content_type)s, %(year)s, %(genres)s, %(overview)s, %(metadata)s)
on conflict (id) do update set title = excluded.title, content_type = excluded.content_type,
  year = coalesce(excluded.year, c.year),
  genres = case when excluded.genres = '{}' then c.genres else excluded.genres end,
  overview = coalesce(excluded.overview, c.overview), metadata = c.metadata || excluded.metadata
"""

# A title that came through the API is a fact of this database first: the lake only brings it back where it is missing.
_INSERT = """
insert into nexus_core.content (id, title, content_type, year, genres, overview)
select content_id, left(title, 500), content_type, year, array(select jsonb_array_elements_text(genres)), overview
from staged_content where source = 'nexus' order by content_id
on conflict (id) do nothing
"""

_MERGE = """
insert into nexus_core.content as c (id, title, content_type, year, genres, overview)
select content_id, left(title, 500), content_type, year, array(select jsonb_array_elements_text(genres)), overview
from staged_content where source is distinct from 'nexus' order by content_id
on conflict (id) do update set title = excluded.title, content_type = excluded.content_type,
  year = coalesce(excluded.year, c.year),
  genres = case when excluded.genres = '{}' then c.genres else excluded.genres end,
  overview = coalesce(excluded.overview, c.overview)
where (c.title, c.content_type, c.year, c.genres, c.overview) is distinct from (excluded.title, excluded.content_type,
  coalesce(excluded.year, c.year), case when excluded.genres = '{}' then c.genres else excluded.genres end,
  coalesce(excluded.overview, c.overview))
"""

_MERGE_IDS = """
insert into nexus_core.content_external_ids (issuer, value, content_id)
select x ->> 'issuer', x ->> 'value', content_id from staged_content, jsonb_array_elements(external_ids) x
order by 1, 2 on conflict do nothing
"""

_CATALOGUE = """
select c.id as content_id, c.title, c.content_type, c.year, c.genres, c.overview, c.metadata,
  coalesce(x.external_ids, '[]') as external_ids, coalesce(p.popularity_score, 0) as popularity_score,
  coalesce(p.interactions, 0) as interactions, p.mean_value
from nexus_core.content c
left join (select content_id, jsonb_agg(jsonb_build_object('issuer', issuer, 'value', value) order by issuer, value)
             as external_ids from nexus_core.content_external_ids group by 1) x on x.content_id = c.id
left join nexus_analytics.title_popularity p on p.content_id = c.id
where c.id > %s order by c.id limit %s
"""


async def upsert_content(connection: psycopg.AsyncConnection, record: ContentRecord) -> None:
    """Store a title; what the record leaves out stays as it was.

    Raises:
        NexusError: category ``conflict`` when an external id already belongs to another title.
    """
    values = record.model_dump(exclude={"external_ids", "metadata", "genres"})
    async with connection.transaction():
        await connection.execute(_UPSERT, values | {"genres": list(record.genres), "metadata": Jsonb(record.metadata)})
        for reference in sorted(record.external_ids, key=str):
            await _claim(connection, reference, record.content_id)


async def find_content(
    connection: psycopg.AsyncConnection, identifier: uuid.UUID | ids.Reference
) -> ContentRecord | None:
    """The title of an id, or None."""
    if isinstance(identifier, ids.Reference):
        condition = "c.id = (select content_id from nexus_core.content_external_ids where issuer = %s and value = %s)"
        values: tuple[Any, ...] = (identifier.issuer, identifier.value)
    else:
        condition, values = "c.id = %s", (identifier,)
    async with connection.cursor(row_factory=dict_row) as cursor:
        query = f"select {_FIELDS} from nexus_core.content c where {condition}"  # noqa: S608 - constants only
        await cursor.execute(query, values)
        row = await cursor.fetchone()
    return ContentRecord(**row) if row else None


async def resolve_content(
    connection: psycopg.AsyncConnection, references: Iterable[ids.Reference]
) -> dict[ids.Reference, uuid.UUID]:
    """The ids of those references that are known."""
    asked = list(set(references))
    cursor = await connection.execute(
        "select issuer, value, content_id from nexus_core.content_external_ids"
        " where (issuer, value) in (select * from unnest(%s::text[], %s::text[]))",
        ([r.issuer for r in asked], [r.value for r in asked]),
    )
    return {ids.Reference(issuer, value): content_id async for issuer, value, content_id in cursor}


async def load_catalogue(connection: psycopg.AsyncConnection, *, page_rows: int = 5_000) -> list[CatalogueRow]:
    """Every title with its popularity, by id."""
    rows: list[CatalogueRow] = []
    last = uuid.UUID(int=0)
    async with connection.cursor(row_factory=dict_row) as cursor:
        while True:
            await cursor.execute(_CATALOGUE, (last, page_rows))
            page = await cursor.fetchall()
            rows += [CatalogueRow(**row) for row in page]
            if len(page) < page_rows:
                return rows
            last = rows[-1].content_id


def copy_content(connection: psycopg.Connection, frame: Frame) -> BulkResult:
    """Merge titles in the shape of core_nexus__titles; nothing is removed, nothing known is emptied."""
    titles = as_polars(frame)
    staged = titles.with_columns(
        pl.col("year").cast(pl.Int32),
        json_column(titles["genres"].to_list()).alias("genres"),
        json_column(titles["external_ids"].to_list()).alias("external_ids"),
    ).with_columns(pl.col("genres", "external_ids").fill_null("[]"))
    columns = {
        "content_id": "uuid",
        "title": "text",
        "content_type": "text",
        "year": "smallint",
        "genres": "jsonb",
        "overview": "text",
        "external_ids": "jsonb",
        "source": "text",
    }
    with connection.transaction():
        stage(connection, "staged_content", columns, staged)
        written = connection.execute(_MERGE).rowcount + connection.execute(_INSERT).rowcount
        connection.execute(_MERGE_IDS)
    return BulkResult(rows=titles.height, written=written)


async def _claim(connection: psycopg.AsyncConnection, reference: ids.Reference, content_id: uuid.UUID) -> None:
    cursor = await connection.execute(
        "insert into nexus_core.content_external_ids (issuer, value, content_id) values (%s, %s, %s)"
        " on conflict (issuer, value) do nothing returning content_id",
        (reference.issuer, reference.value, content_id),
    )
    if await cursor.fetchone():
        return
    cursor = await connection.execute(
        "select content_id from nexus_core.content_external_ids where issuer = %s and value = %s",
        (reference.issuer, reference.value),
    )
    owner = await cursor.fetchone()
    if owner is not None and owner[0] != content_id:
        raise NexusError(
            "this external id belongs to another title",
            category=Category.CONFLICT,
            field="external_id",
            value=reference,
            remedy="send the title's own id, or correct the other title first",
            content_id=str(owner[0]),
        )
