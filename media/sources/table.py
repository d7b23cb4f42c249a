"""A person's own tables (CSV, compressed or not, or Parquet) with a declared mapping.

Belongs here: from a mapped table to the rows of the raw tables. Does not belong here: the mapping itself (mapping),
opening a table (tabular), whether a value makes sense (layer core).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from media.sources import archive, blocks, tabular, times
from media.sources.base import INTERACTIONS, TABLE_TITLES, Report, Staged, find
from media.sources.mapping import Interactions, Mapping, Titles
from media.sources.staging import Staging
from media.sources.tabular import Table
from nexus.errors import NexusError, invalid

_MAX_TITLES = 5_000_000


@dataclass(frozen=True, slots=True)
class MappedTable:
    """Loads a table of interactions, and one of titles if there is one.

    Attributes:
        path: A file, or a folder or zip that holds it.
        mapping: What its columns mean.
        name: Name of the loader.
    """

    path: Path
    mapping: Mapping
    name: str = "table"

    def stage(self, inbox: Path, report: Report | None = None) -> Staged:
        """Put the tables into the inbox as read.

        Raises:
            NexusError: a file cannot be read, or the mapping does not fit it (every fault at once).
        """
        mapping = self.mapping
        with ExitStack() as stack:
            interactions, titles = self._tables(stack)
            _refuse_unfit(mapping, interactions, titles)
            data_hash = self._hash(interactions, titles, report)
            there = find(inbox, f"{mapping.issuer}-{data_hash[:16]}")
            if there is not None:
                return there
            staging = stack.enter_context(
                Staging(
                    inbox,
                    source=mapping.issuer,
                    data_hash=data_hash,
                    origin=self.path.name,
                    ratings_table=INTERACTIONS,
                    titles_table=TABLE_TITLES,
                )
            )
            titles_rows = staging.write(TABLE_TITLES, self._titles(interactions, titles))
            after = staging.last_line(INTERACTIONS)
            rows = staging.write(INTERACTIONS, self._interactions(interactions, after, report), is_resumed=True)
            if not rows:
                raise invalid(
                    "the table has no rows", field=interactions.name, value=self.path, remedy="name one that has some"
                )
            return staging.finish(ratings_rows=rows, titles_rows=titles_rows)

    def _tables(self, stack: ExitStack) -> tuple[Table, Table | None]:
        wanted, titles = self.mapping.interactions, self.mapping.titles
        files = stack.enter_context(archive.opened(self.path, is_alone=True))
        apart = titles is not None and titles.path is not None
        taken = titles.file if titles is not None and not apart else None
        name = tabular.choose(files, self.path, wanted.file, taken, field="interactions.file")
        first = tabular.opened(files, name, wanted, list(wanted.used().values()))
        if titles is None:
            return first, None
        if titles.path is None:
            name = tabular.choose(files, self.path, titles.file, name, field="titles.file")
            return first, tabular.opened(files, name, titles, list(titles.used().values()))
        path = Path(titles.path)
        theirs = stack.enter_context(archive.opened(path, is_alone=True))
        name = tabular.choose(theirs, path, titles.file, None, field="titles.file")
        return first, tabular.opened(theirs, name, titles, list(titles.used().values()))

    def _hash(self, interactions: Table, titles: Table | None, report: Report | None) -> str:
        """Of content and mapping; names and places of files do not count."""

        def told(name: str, done: int, size: int) -> None:
            if report is not None:
                report(f"checks {name}", done, size)

        where = {"interactions": {"file"}, "titles": {"file", "path"}}
        total = hashlib.sha256(self.mapping.model_dump_json(exclude=where).encode())
        for table in (interactions, titles):
            if table is not None:
                total.update(archive.hash_of(table.files, table.name, told).encode())
        return total.hexdigest()

    def _interactions(self, table: Table, after: int, report: Report | None) -> Iterator[pa.Table]:
        shape = _Shape(self.mapping, table)
        for rows, done, size in table.read(after):
            yield shape.interactions(rows)
            if report is not None:
                report(f"reads {table.name}", done, size)

    def _titles(self, interactions: Table, titles: Table | None) -> Iterator[pa.Table]:
        if titles is not None:
            shape = _Shape(self.mapping, titles)
            for rows, _, _ in titles.read(0):
                yield shape.titles(rows, self.mapping.titles)
        elif self.mapping.of_titles == self.mapping.issuer:
            yield from self._named(interactions)

    def _named(self, table: Table) -> Iterator[pa.Table]:
        """A title for every id that the interactions name for the first time."""
        wanted = self.mapping.interactions
        shape, seen = _Shape(self.mapping, table), set[str]()
        for rows, _, _ in table.read(0):
            ids = pc.utf8_trim_whitespace(rows.column(wanted.title)).to_pylist()
            fresh: list[int] = []
            for index, ref in enumerate(ids):
                if ref and ref not in seen:
                    seen.add(ref)
                    fresh.append(index)
            if len(seen) > _MAX_TITLES:
                raise invalid(
                    f"over {_MAX_TITLES} different titles are named",
                    field="interactions.title",
                    value=wanted.title,
                    remedy="map the column with the title's id, and give a table of titles",
                )
            if fresh:
                named = Titles(id=wanted.title, title=wanted.title_name or wanted.title)
                yield shape.titles(rows.take(pa.array(fresh)), named)


class _Shape:
    """Rows of a mapped table as rows of a raw table."""

    def __init__(self, mapping: Mapping, table: Table) -> None:
        self._mapping, self._file_name = mapping, table.name

    def interactions(self, rows: pa.Table) -> pa.Table:
        wanted = self._mapping.interactions
        moments, problem = times.micros(rows.column(wanted.time), wanted.time_format, wanted.time_zone)
        is_broken = pc.is_valid(rows.column(blocks.PROBLEM))
        has_no_time = pc.and_(pc.is_null(moments), pc.invert(is_broken))
        scale = wanted.scale
        size = rows.num_rows
        return self._table(
            rows,
            {
                "issuer": self._same(self._mapping.issuer, size),
                "title_issuer": self._same(self._mapping.of_titles, size),
                "user_ref": rows.column(wanted.viewer),
                "content_ref": rows.column(wanted.title),
                "interaction_type": self._types(rows, wanted),
                "value": self._column(rows, wanted.value),
                "value_scale": self._same(f"{scale[0]:g} to {scale[1]:g}" if scale else None, size),
                "value_min": pa.repeat(pa.scalar(scale[0] if scale else None, pa.float64()), size),
                "value_max": pa.repeat(pa.scalar(scale[1] if scale else None, pa.float64()), size),
                "occurred_at": pc.cast(moments, pa.string()),
                "event_ref": self._column(rows, wanted.event_id),
                "problem_field": pc.if_else(
                    is_broken, pa.scalar("line"), pc.if_else(has_no_time, pa.scalar(wanted.time), _NONE)
                ),
                "problem": pc.if_else(has_no_time, pa.scalar(problem), rows.column(blocks.PROBLEM)),
            },
        )

    def titles(self, rows: pa.Table, wanted: Titles | None) -> pa.Table:
        used = wanted.used() if wanted is not None else {}
        genres = self._column(rows, used.get("genres"))
        if wanted is not None and wanted.genre_separator != "|":
            genres = pc.replace_substring(genres, wanted.genre_separator, "|")
        is_broken = pc.is_valid(rows.column(blocks.PROBLEM))
        return self._table(
            rows,
            {
                "issuer": self._same(self._mapping.of_titles, rows.num_rows),
                "content_ref": self._column(rows, used.get("id")),
                "title": self._column(rows, used.get("title")),
                "genres": genres,
                **{name: self._column(rows, used.get(name)) for name in ("year", "overview", "content_type")},
                **{f"{name}_ref": self._column(rows, used.get(name)) for name in ("imdb", "tmdb", "tvdb")},
                "problem_field": pc.if_else(is_broken, pa.scalar("line"), _NONE),
                "problem": rows.column(blocks.PROBLEM),
            },
        )

    def _types(self, rows: pa.Table, wanted: Interactions) -> pa.Array | pa.ChunkedArray:
        if wanted.type is None:
            return self._same(str(wanted.row_type), rows.num_rows)
        words = {word.strip().lower(): str(kind) for word, kind in wanted.types.items()}
        given = pc.utf8_lower(pc.utf8_trim_whitespace(rows.column(wanted.type))).combine_chunks()
        encoded = given.dictionary_encode()
        translated = [words.get(word, word) for word in encoded.dictionary.to_pylist()]
        return pc.take(pa.array(translated, pa.string()), encoded.indices)

    def _column(self, rows: pa.Table, name: str | None) -> pa.Array | pa.ChunkedArray:
        return rows.column(name) if name is not None else pa.nulls(rows.num_rows, pa.string())

    def _same(self, value: str | None, size: int) -> pa.Array:
        return pa.repeat(pa.scalar(value, pa.string()), size)

    def _table(self, rows: pa.Table, columns: dict[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
        shared = {name: rows.column(name) for name in (blocks.NUMBER, blocks.TEXT)}
        return pa.table({"file_name": self._same(self._file_name, rows.num_rows), **shared, **columns})


_NONE = pa.scalar(None, pa.string())


def _refuse_unfit(mapping: Mapping, interactions: Table, titles: Table | None) -> None:
    """Every column that the mapping names and the tables lack, at once."""
    faults: list[dict[str, str]] = []
    parts = [("interactions", mapping.interactions.used(), interactions)]
    if titles is not None and mapping.titles is not None:
        parts.append(("titles", mapping.titles.used(), titles))
    for part, used, table in parts:
        for field, column in used.items():
            count = table.columns.count(column)
            if count != 1:
                said = "there is no such column" if not count else "the column is there twice"
                faults.append({"field": f"{part}.{field}", "value": column, "reason": f"{said} in {table.name}"})
    if not faults:
        return
    there = {table.name: list(table.columns[:50]) for _, _, table in parts}
    raise NexusError(
        "the mapping does not fit: " + "; ".join(f"{f['field']} = {f['value']!r}: {f['reason']}" for f in faults),
        field=faults[0]["field"],
        value=faults[0]["value"],
        remedy="; ".join(f"{name} has the columns {', '.join(columns)}" for name, columns in there.items()),
        faults=faults,
        found=there,
    )
