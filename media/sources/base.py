"""What a loader is, and the loads that wait for, or were taken by, the pipeline.

A load is a folder ``<inbox>/<load_id>`` with two tables of text as read, in Parquet, and a manifest; the raw assets
append each load once. Belongs here: the protocol, the manifest, listing loads. Does not belong here: writing a load
(media.sources.staging), any one format.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

RATINGS, TITLES = "raw_movielens__ratings", "raw_movielens__titles"
INTERACTIONS, TABLE_TITLES = "raw_table__interactions", "raw_table__titles"
MANIFEST = "manifest.json"
Report = Callable[[str, int, int], None]
"""Told how far a load is: what it does, bytes done, bytes in all."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A load that waits in, or was taken from, the inbox.

    Attributes:
        load_id: Source and content: the same content has the same id.
        source: Name of the loader, or who issued the ids.
        data_hash: SHA-256 over the content of the files.
        origin: What the person named, without its folder.
        staged_at: When it was staged, UTC.
        ratings_rows: Lines of ratings or other interactions, good and bad.
        titles_rows: Lines of titles, good and bad.
        folder: Where it lies.
        is_new: Whether this call staged it.
        ratings_table: The raw table of the interactions.
        titles_table: The raw table of the titles.
    """

    load_id: str
    source: str
    data_hash: str
    origin: str
    staged_at: datetime
    ratings_rows: int
    titles_rows: int
    folder: Path
    is_new: bool = False
    ratings_table: str = RATINGS
    titles_table: str = TITLES

    @property
    def ratings_path(self) -> Path:
        """Parquet (a file, or a folder of parts) with the columns of the interactions' table."""
        return self._path(self.ratings_table)

    @property
    def titles_path(self) -> Path:
        """Parquet (a file, or a folder of parts) with the columns of the titles' table."""
        return self._path(self.titles_table)

    def parts(self, table: str) -> list[Path]:
        """The Parquet files of a table, in order; none when the load has nothing for that table."""
        if table not in (self.ratings_table, self.titles_table):
            return []
        path = self._path(table)
        return sorted(path.glob("part-*.parquet")) if path.is_dir() else [path]

    def _path(self, table: str) -> Path:
        # Loads that were staged before there were parts are one file a table.
        whole = self.folder / f"{table}.parquet"
        return whole if whole.is_file() else self.folder / table


class Source(Protocol):
    """Anything that can be loaded: a file format, a package."""

    @property
    def name(self) -> str:
        """Name of the loader."""
        ...

    def stage(self, inbox: Path, report: Report | None = None) -> Staged:
        """Put the data into the inbox; content that is there already stays as it is.

        Raises:
            NexusError: the whole load is refused; nothing was staged.
        """
        ...


def find(inbox: Path, load_id: str) -> Staged | None:
    """A load by id; None when it is not (wholly) there."""
    try:
        facts: dict[str, Any] = json.loads((inbox / load_id / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    facts["staged_at"] = datetime.fromisoformat(facts["staged_at"])
    return Staged(**facts, folder=inbox / load_id)


def staged_loads(inbox: Path) -> list[Staged]:
    """Every load of the inbox, oldest first."""
    names = [path.parent.name for path in inbox.glob(f"*/{MANIFEST}") if not path.parent.name.startswith(".")]
    loads = [load for name in names if (load := find(inbox, name)) is not None]
    return sorted(loads, key=lambda load: (load.staged_at, load.load_id))
