"""The MovieLens layout (ml-latest-small and its larger sisters), as a folder or a zip.

Belongs here: which files and columns there are. Does not belong here: whether a value makes sense (layer core judges
that): broken lines are staged with their problem, so that the rest of the file goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media.sources import archive, lines
from media.sources.base import RATINGS, TITLES, Staged, Staging, batched, find
from nexus.errors import invalid
from nexus.lake.catalogue import TABLES

RATINGS_FILE, MOVIES_FILE, LINKS_FILE = "ratings.csv", "movies.csv", "links.csv"
_SHARED = ("load_id", "source", "staged_at")
Links = dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class MovieLens:
    """Loads a folder or zip that has ratings.csv and movies.csv, and perhaps links.csv; tags are left alone."""

    path: Path
    name: str = "movielens"

    def stage(self, inbox: Path) -> Staged:
        """Put the files into the inbox as read.

        Raises:
            NexusError: a file or column is missing, the zip is broken or unsafe, or there is nothing to read.
        """
        with archive.opened(self.path) as files:
            archive.need(files, self.path, (RATINGS_FILE, MOVIES_FILE))
            used = [name for name in (RATINGS_FILE, MOVIES_FILE, LINKS_FILE) if name in files.names()]
            data_hash = archive.fingerprint(files, used)
            there = find(inbox, f"{self.name}-{data_hash[:16]}")
            if there is not None:
                return there
            with Staging(inbox, source=self.name, data_hash=data_hash, origin=self.path.name) as staging:
                titles = staging.write(TITLES, batched(_titles(files), _columns(TITLES)))
                ratings = staging.write(RATINGS, batched(_ratings(files), _columns(RATINGS)))
                for file_name, rows in ((RATINGS_FILE, ratings), (MOVIES_FILE, titles)):
                    if not rows:
                        raise invalid(
                            f"{file_name} has no lines after the header",
                            field=file_name,
                            value=self.path,
                            remedy="name a data set with ratings and titles",
                        )
                return staging.finish(ratings_rows=ratings, titles_rows=titles)


def _columns(table: str) -> tuple[str, ...]:
    return tuple(name for name in TABLES[table].schema.names if name not in _SHARED)


def _ratings(files: archive.Files) -> Iterator[Mapping[str, Any]]:
    columns = ("userId", "movieId", "rating", "timestamp")
    with files.open(RATINGS_FILE) as stream:
        for line in lines.read(stream, name=RATINGS_FILE, columns=columns):
            yield _as_read(RATINGS_FILE, line) | {
                "user_ref": line.fields.get("userId"),
                "content_ref": line.fields.get("movieId"),
                "rating": line.fields.get("rating"),
                "rated_at": line.fields.get("timestamp"),
            }


def _titles(files: archive.Files) -> Iterator[Mapping[str, Any]]:
    links: Links = {}
    if LINKS_FILE in files.names():
        yield from _read_links(files, links)
    with files.open(MOVIES_FILE) as stream:
        for line in lines.read(stream, name=MOVIES_FILE, columns=("movieId", "title", "genres")):
            ref = line.fields.get("movieId")
            imdb, tmdb = links.get((ref or "").strip(), ("", ""))
            yield _as_read(MOVIES_FILE, line) | {
                "content_ref": ref,
                "title": line.fields.get("title"),
                "genres": line.fields.get("genres"),
                "imdb_ref": imdb or None,
                "tmdb_ref": tmdb or None,
            }


def _read_links(files: archive.Files, links: Links) -> Iterator[Mapping[str, Any]]:
    """Fill the links; only lines with a problem become rows."""
    with files.open(LINKS_FILE) as stream:
        for line in lines.read(stream, name=LINKS_FILE, columns=("movieId", "imdbId", "tmdbId")):
            if line.problem:
                yield _as_read(LINKS_FILE, line)
            else:
                fields = line.fields
                links[fields["movieId"].strip()] = (fields["imdbId"].strip(), fields["tmdbId"].strip())


def _as_read(file_name: str, line: lines.Line) -> dict[str, Any]:
    return {
        "file_name": file_name,
        "line_number": line.number,
        "raw_text": line.text,
        "problem_field": "line" if line.problem else None,
        "problem": line.problem,
    }
