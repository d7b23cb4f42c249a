"""MovieLens data sets of every size, as a folder or a zip, in any of their layouts.

Belongs here: which column of a file becomes which column of the raw tables. Does not belong here: the layouts
themselves (layouts), whether a value makes sense (layer core judges that): broken lines are staged with their problem,
so that the rest of the file goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from media.sources import archive, blocks, lines
from media.sources.base import RATINGS, TITLES, Report, Staged, find
from media.sources.layouts import RATING_COLUMNS, Layout, detect
from media.sources.staging import Staging, batched
from nexus.errors import invalid
from nexus.lake.catalogue import TABLES

_SHARED = ("load_id", "source", "staged_at")
_RATING_NAMES = ("user_ref", "content_ref", "rating", "rated_at")
Links = dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class MovieLens:
    """Loads a folder or zip that has ratings and titles in a MovieLens layout; tags are left alone.

    Attributes:
        path: The folder or zip.
        issuer: Whose ids these are; None: what the layout says.
        name: Name of the loader.
    """

    path: Path
    issuer: str | None = None
    name: str = "movielens"

    def stage(self, inbox: Path, report: Report | None = None) -> Staged:
        """Put the files into the inbox as read.

        Raises:
            NexusError: a file or column is missing, the zip is broken or unsafe, or there is nothing to read.
        """
        with archive.opened(self.path) as files:
            layout = detect(files, self.path)
            source = self.issuer or layout.issuer
            used = [name for name in (layout.ratings, layout.titles, layout.links) if name in files.names()]
            data_hash = archive.fingerprint(files, used, _told(report, "checks"))
            there = find(inbox, f"{source}-{data_hash[:16]}")
            if there is not None:
                return there
            with Staging(inbox, source=source, data_hash=data_hash, origin=self.path.name) as staging:
                titles = staging.write(TITLES, batched(_titles(files, layout), _columns(TITLES)))
                _refuse_nothing(titles, layout.titles, self.path)
                after = staging.last_line(RATINGS)
                ratings = staging.write(RATINGS, _ratings(files, layout, after, report), is_resumed=True)
                _refuse_nothing(ratings, layout.ratings, self.path)
                return staging.finish(ratings_rows=ratings, titles_rows=titles)


def _told(report: Report | None, what: str) -> archive.Seen | None:
    return None if report is None else lambda name, done, size: report(f"{what} {name}", done, size)


def _refuse_nothing(rows: int, name: str, path: Path) -> None:
    if not rows:
        raise invalid(
            f"{name} has no lines after the header" if name.endswith(".csv") else f"{name} has no lines",
            field=name,
            value=path,
            remedy="name a data set with ratings and titles",
        )


def _columns(table: str) -> tuple[str, ...]:
    return tuple(name for name in TABLES[table].schema.names if name not in _SHARED)


def _ratings(files: archive.Files, layout: Layout, after: int, report: Report | None) -> Iterator[pa.Table]:
    size = files.size(layout.ratings)
    with files.open(layout.ratings) as stream:
        found = blocks.read(
            stream, name=layout.ratings, columns=RATING_COLUMNS, dialect=layout.ratings_dialect, after=after
        )
        for table in found:
            yield as_read(layout.ratings, table, dict(zip(RATING_COLUMNS, _RATING_NAMES, strict=True)))
            if report is not None:
                report(f"reads {layout.ratings}", stream.tell(), size)


def as_read(file_name: str, table: pa.Table, names: Mapping[str, str]) -> pa.Table:
    """A block's rows under the raw table's names, with the file and what is wrong with the line."""
    renamed = table.rename_columns([names.get(name, name) for name in table.column_names])
    problem = renamed.column(blocks.PROBLEM)
    line = pc.if_else(pc.is_valid(problem), pa.scalar("line"), pa.scalar(None, pa.string()))
    return renamed.append_column("problem_field", line).append_column(
        "file_name", pa.repeat(pa.scalar(file_name), renamed.num_rows)
    )


def _titles(files: archive.Files, layout: Layout) -> Iterator[Mapping[str, Any]]:
    links: Links = {}
    if layout.links is not None and layout.links in files.names():
        yield from _read_links(files, layout.links, links)
    with files.open(layout.titles) as stream:
        found = lines.read(stream, name=layout.titles, columns=layout.title_columns, dialect=layout.titles_dialect)
        for line in found:
            ref = line.fields.get("movieId")
            imdb, tmdb = links.get((ref or "").strip(), ("", ""))
            yield _line(layout.titles, line) | {
                "content_ref": ref,
                "title": line.fields.get("title"),
                "genres": _genres(line.fields, layout),
                "imdb_ref": imdb or None,
                "tmdb_ref": tmdb or None,
            }


def _genres(fields: Mapping[str, str], layout: Layout) -> str | None:
    if not layout.genre_flags or not fields:
        return fields.get("genres")
    listed = [genre for column, genre in layout.genre_flags if fields[column].strip() == "1"]
    return "|".join(genre for genre in listed if genre != "unknown")


def _read_links(files: archive.Files, name: str, links: Links) -> Iterator[Mapping[str, Any]]:
    """Fill the links; only lines with a problem become rows."""
    with files.open(name) as stream:
        for line in lines.read(stream, name=name, columns=("movieId", "imdbId", "tmdbId")):
            if line.problem:
                yield _line(name, line)
            else:
                fields = line.fields
                links[fields["movieId"].strip()] = (fields["imdbId"].strip(), fields["tmdbId"].strip())


def _line(file_name: str, line: lines.Line) -> dict[str, Any]:
    return {
        "file_name": file_name,
        "line_number": line.number,
        "raw_text": line.text,
        "problem_field": "line" if line.problem else None,
        "problem": line.problem,
    }
