"""The titles of this installation, held in memory: what is known, what is popular, what things are called.

Belongs here: one immutable snapshot, how it is read from and written to disk.
Does not belong here: where it comes from (serving.content.loader), vectors (serving.content.vectors).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import orjson

from nexus import ids

SNAPSHOT_FILE = "catalogue.json"
_YEAR = re.compile(r"\s*\(\d{4}\)\s*$")


@dataclass(frozen=True, slots=True)
class Title:
    """One title, as answers show it."""

    content_id: str
    title: str
    content_type: str = "movie"
    year: int | None = None
    genres: tuple[str, ...] = ()
    overview: str | None = None
    external_ids: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    popularity_score: float = 0.0
    interactions: int = 0
    mean_value: float | None = None

    def as_item(self) -> dict[str, Any]:
        """What every list shows of a title."""
        return {
            "content_id": self.content_id,
            "external_ids": self.external_ids,
            "title": self.title,
            "content_type": self.content_type,
            "year": self.year,
            "genres": self.genres,
        }

    def as_content(self) -> dict[str, Any]:
        """The body of ``GET /v1/content/{id}``."""
        return {
            "content_id": self.content_id,
            "title": self.title,
            "content_type": self.content_type,
            "year": self.year,
            "genres": list(self.genres),
            "overview": self.overview,
            "external_ids": list(self.external_ids),
            "metadata": self.metadata,
            "popularity_score": self.popularity_score,
            "interactions": self.interactions,
            "mean_value": self.mean_value,
        }


class Catalogue:
    """All titles at one moment. Never changes; a refresh makes another."""

    def __init__(self, titles: Iterable[Title] = ()) -> None:
        self.titles = tuple(titles)
        self.rows = {title.content_id: row for row, title in enumerate(self.titles)}
        self.references = {name: title.content_id for title in self.titles for name in title.external_ids}
        score = np.array([title.popularity_score for title in self.titles], dtype=np.float64)
        count = np.array([title.interactions for title in self.titles], dtype=np.float64)
        self.popular = np.lexsort((-count, -score))
        self.folded = tuple(_YEAR.sub("", title.title).casefold() for title in self.titles)

    def __len__(self) -> int:
        return len(self.titles)

    def get(self, content_id: str) -> Title | None:
        """The title under an internal id."""
        row = self.rows.get(content_id)
        return None if row is None else self.titles[row]

    def find(self, identifier: UUID | ids.Reference) -> Title | None:
        """The title under an internal or external id."""
        if isinstance(identifier, UUID):
            return self.get(str(identifier))
        known = self.references.get(str(identifier))
        return self.get(known or str(ids.internal("content", identifier)))

    def name(self, content_id: str) -> str:
        """What to call a title, also one that has left the catalogue."""
        title = self.get(content_id)
        return title.title if title is not None else "a title that is no longer here"


def write_snapshot(folder: Path, catalogue: Catalogue) -> None:
    """Keep the titles where a restarted process finds them without Postgres."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{SNAPSHOT_FILE}.{os.getpid()}"
    temporary.write_bytes(orjson.dumps([asdict(title) for title in catalogue.titles]))
    temporary.replace(folder / SNAPSHOT_FILE)


def read_snapshot(folder: Path) -> Catalogue | None:
    """What :func:`write_snapshot` kept last, if it can be read."""
    try:
        rows = orjson.loads((folder / SNAPSHOT_FILE).read_bytes())
        return Catalogue(
            Title(**(row | {"genres": tuple(row["genres"]), "external_ids": tuple(row["external_ids"])}))
            for row in rows
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
