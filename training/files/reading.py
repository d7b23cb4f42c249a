"""``--data PATH|TABLE``: a data set for training, from files as they were fetched or from the lake.

Belongs here: which of the two is meant, putting the pieces together. Does not belong here: files (layouts), lines, titles,
the arrays (training.dataset), loading into the lake (``bin/nexus load``).

Of files only titles that somebody met are in the catalogue; a lake table of examples is read as the platform trains on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from nexus.errors import NexusError, invalid, not_found
from nexus.lake.catalogue import TABLES
from nexus.lake.lake import Lake
from training import dataset
from training.dataset import Dataset
from training.files import layouts, lines, titles

NEEDED = ("user_id", "content_id", "occurred_at")
NOT_CONTEXT = ("viewer_interactions", "viewer_mean_value")
"""Viewer features of the examples that models are not given (features.schema says which they are)."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A data set, and what a person should know about how it was read."""

    dataset: Dataset
    origin: str
    notes: tuple[str, ...] = ()


def load(data: str, lake: Callable[[], Lake]) -> Loaded:
    """What ``--data`` names: a path that exists, else a table of the lake.

    Args:
        data: Path or name of a table.
        lake: Gives the lake; called for a table only.

    Raises:
        NexusError: it is neither, or cannot be read.
    """
    if Path(data).expanduser().exists():
        return load_path(Path(data).expanduser())
    if data in TABLES:
        return load_table(lake(), data)
    raise not_found(
        "neither a path nor a table of the lake",
        field="--data",
        value=data,
        remedy="name a MovieLens folder or zip, a file of user item [time], or a table as training_nexus__examples",
    )


def load_path(path: Path) -> Loaded:
    """MovieLens in any layout, or lines of ``user item [time]``.

    Raises:
        NexusError: category ``invalid`` or ``not_found``, with the file, the line and the value.
    """
    found = layouts.find(path)
    rows = lines.read(found.ratings, found.ratings_name)
    known = titles.read(found.titles, found.titles_name) if found.titles else titles.none()
    met = rows.frame.select(pl.col("item").unique())
    has_value = rows.frame["rating"].is_not_null().any()
    interactions = rows.frame.select(
        user_id="user",
        content_id="item",
        interaction_type=pl.lit("rate" if has_value else "view"),
        value="rating",
        occurred_at=(pl.col("at_s") * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us", "UTC")),
    )
    tie_rule = (
        "time, then the order of the lines" if rows.has_times else "the order of the lines (the file has no times)"
    )
    built = dataset.build(
        interactions, known.join(met, left_on="content_id", right_on="item", how="semi"), tie_rule=tie_rule
    )
    return Loaded(
        replace(built, has_times=rows.has_times), found.ratings_name, rows.notes + _repeated(interactions, built)
    )


def load_table(lake: Lake, name: str) -> Loaded:
    """A table with ``user_id``, ``content_id`` and ``occurred_at``; the examples with titles and features, as the platform does.

    Raises:
        NexusError: category ``not_found`` when it is not there yet, ``invalid`` when it lacks columns or rows.
    """
    from training import snapshot

    columns = lake.scan(name).collect_schema().names()
    if name == snapshot.EXAMPLES:
        return Loaded(snapshot.read(lake, context_of(columns)).dataset, f"{name}@{lake.version(name)}")
    lacking = [column for column in NEEDED if column not in columns]
    if lacking:
        raise _no_interactions(name, f"it has no column {', '.join(lacking)}")
    found = lake.scan(name).select(
        "user_id",
        "content_id",
        pl.col("interaction_type") if "interaction_type" in columns else pl.lit("view").alias("interaction_type"),
        pl.col("value").cast(pl.Float64) if "value" in columns else pl.lit(None, pl.Float64).alias("value"),
        "occurred_at",
        *(["event_id"] if "event_id" in columns else []),
    )
    tie = "event_id" if "event_id" in columns else "content_id"
    rows = found.drop_nulls(list(NEEDED)).sort("user_id", "occurred_at", tie, maintain_order=True).collect()
    if rows.is_empty():
        raise _no_interactions(name, "it has no rows")
    facts = (
        lake.scan(snapshot.TITLES).select("content_id", "year", "genres").collect()
        if lake.exists(snapshot.TITLES)
        else titles.none()
    )
    version = lake.version(name)
    built = dataset.build(
        rows,
        facts.filter(pl.col("content_id").is_in(rows["content_id"].unique().implode())),
        data_version=version,
        tie_rule=f"time, then {tie.replace('_', ' ')}",
    )
    return Loaded(built, f"{name}@{version}", _repeated(rows, built))


def context_of(columns: Sequence[str]) -> list[str]:
    """Columns of the examples that models are given as context."""
    return [column for column in columns if column.startswith("viewer_") and column not in NOT_CONTEXT]


def _repeated(interactions: pl.DataFrame, built: Dataset) -> tuple[str, ...]:
    again = interactions.height - sum(map(len, built.histories))
    return (f"{again} times a viewer met a title again: it counts where it was met last",) if again else ()


def _no_interactions(name: str, reason: str) -> NexusError:
    return invalid(
        f"the table holds no interactions: {reason}",
        field="--data",
        value=name,
        remedy="name a table as training_nexus__examples or marts_nexus__interactions",
    )
