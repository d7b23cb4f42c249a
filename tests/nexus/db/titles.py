"""Titles with nothing but a name and a vector, in a database."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from nexus.db.content import copy_content
from nexus.db.embeddings import copy_embeddings
from nexus.db.pool import connect
from nexus.settings import Settings


def store(settings: Settings, names: Sequence[str], vectors: np.ndarray) -> None:
    """Write them; a title's name is its id."""
    frame = pl.DataFrame({"content_id": names, "title": names}).with_columns(
        content_type=pl.lit("movie"),
        year=pl.lit(None, pl.Int32),
        genres=pl.lit([], pl.List(pl.String)),
        overview=pl.lit(None, pl.String),
        external_ids=pl.lit([], pl.List(pl.String)),
        source=pl.lit("nexus"),
    )
    with connect(settings, "pipeline") as connection:
        copy_content(connection, frame)
        copy_embeddings(connection, "m", names, vectors, names)
