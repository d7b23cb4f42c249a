"""What every candidate is trained and judged on: ordered histories, the vocabulary, facts of titles, one hash.

Belongs here: reading interactions into arrays, the leave-one-out split, the hash that names the data.
Does not belong here: neighbour tables (training.neighbours), scores, lake access (the asset hands tables in).

Order within a history: time, then the order of the rows handed in (the lake orders by ``event_id``; a rating file keeps
its lines). A title met twice counts once, where it was met last: what a viewer has seen is never recommended, so it
cannot be a target either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from nexus.errors import Category, NexusError
from nexus.events import PREFERENCE_OF_TYPE, RATING_MAX

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
SECONDS_PER_DAY = 86_400.0
ROWS_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class History:
    """What one viewer did, oldest first; all arrays have one entry per title.

    Attributes:
        items: Index into the vocabulary.
        values: Rating / 5; 0 when the event had none.
        at_s: When, in seconds since 1970.
        context: Viewer features as known strictly before each entry.
    """

    items: Ints
    values: Floats
    at_s: npt.NDArray[np.float64]
    context: Floats

    def __len__(self) -> int:
        return len(self.items)

    def until(self, end: int) -> History:
        """The first entries."""
        return History(self.items[:end], self.values[:end], self.at_s[:end], self.context[:end])


@dataclass(frozen=True, slots=True)
class Dataset:
    """The histories of all viewers and the catalogue; index 0 of the vocabulary is padding.

    ``has_times`` is false when the data say only in which order things happened; ``at_s`` is 0 everywhere then.
    """

    vocabulary: tuple[str, ...]
    viewers: tuple[str, ...]
    histories: tuple[History, ...]
    years: Floats
    genres: tuple[tuple[str, ...], ...]
    context_features: tuple[str, ...]
    data_hash: str
    data_version: int | None = None
    tie_rule: str = "time, then event id"
    has_times: bool = True

    @property
    def size(self) -> int:
        """Columns of a score row: titles and the padding."""
        return len(self.vocabulary)

    def with_random_ties(self, seed: int) -> Dataset:
        """The same data, with what happened within one second in random order."""
        random = np.random.default_rng(seed)
        shuffled = []
        for history in self.histories:
            order = np.lexsort((random.random(len(history)), np.floor(history.at_s)))
            shuffled.append(
                History(history.items[order], history.values[order], history.at_s[order], history.context[order])
            )
        return replace(self, histories=tuple(shuffled), tie_rule=f"time, then chance (seed {seed})")


@dataclass(frozen=True, slots=True)
class Split:
    """Histories that a model may look at, and the title that came next for each.

    Attributes:
        name: ``test`` or ``validation``.
        histories: Oldest title first.
        targets: Index of the title that came next, ``[n]``.
        contexts: Viewer features as known when asked, ``[n, F]``.
        asked_at_s: When the list is asked for, in seconds since 1970, ``[n]``; None: models are not told.
    """

    name: str
    histories: tuple[History, ...]
    targets: Ints
    contexts: Floats
    asked_at_s: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.histories)


def leave_out(dataset: Dataset, *, last: int, name: str) -> Split:
    """Hold out the ``last``-th title from the end of every history that is long enough (1: test, 2: validation)."""
    long_enough = [history for history in dataset.histories if len(history) > last]
    if not long_enough:
        raise NexusError(
            "no viewer has a history long enough to hold a title out",
            category=Category.CONFLICT,
            field="interactions",
            value=f"{len(dataset.histories)} viewers, {last + 1} interactions needed by one",
            remedy="load more ratings (bin/nexus pipeline run takes them in), or give train a file with longer histories",
        )
    return Split(
        name,
        tuple(history.until(len(history) - last) for history in long_enough),
        np.array([history.items[-last] for history in long_enough], dtype=np.int64),
        np.stack([history.context[-last] for history in long_enough]),
    )


def build(
    interactions: pl.DataFrame,
    titles: pl.DataFrame,
    *,
    context_features: Sequence[str] = (),
    data_version: int | None = None,
    tie_rule: str = "time, then event id",
) -> Dataset:
    """Arrays from tables.

    Args:
        interactions: ``user_id``, ``content_id``, ``interaction_type``, ``value`` (null allowed), ``occurred_at`` and, when
            known, the context features of the viewer just before; ties in time stay in the order of the rows.
        titles: ``content_id``, ``year`` (null allowed), ``genres`` (list).
        context_features: Columns of ``interactions`` that the model takes as context; absent ones become zeros.
        data_version: Version of the Delta table.
        tie_rule: How the rows were ordered within the same time, for the protocol.
    """
    known = titles.select("content_id", "year", "genres").unique("content_id", keep="last", maintain_order=True)
    vocabulary = sorted(set(known["content_id"]) | set(interactions["content_id"].unique()))
    index = {content_id: number for number, content_id in enumerate(vocabulary, start=1)}
    facts = {row[0]: (row[1], row[2]) for row in known.iter_rows()}
    ordered = _ordered(interactions, context_features)
    ordered = ordered.with_columns(item=pl.col("content_id").replace_strict(index, return_dtype=pl.Int64))
    return Dataset(
        vocabulary=("", *vocabulary),
        viewers=tuple(ordered["user_id"].unique(maintain_order=True)),
        histories=_histories(ordered, context_features),
        years=np.array([np.nan, *(_year(facts, key) for key in vocabulary)], dtype=np.float32),
        genres=((), *(tuple(facts.get(key, (None, None))[1] or ()) for key in vocabulary)),
        context_features=tuple(context_features),
        data_hash=_hash(ordered, known.sort("content_id"), context_features),
        data_version=data_version,
        tie_rule=tie_rule,
    )


def _ordered(interactions: pl.DataFrame, context_features: Sequence[str]) -> pl.DataFrame:
    kind = pl.col("interaction_type")
    fixed = kind.replace_strict(
        {str(k): v for k, v in PREFERENCE_OF_TYPE.items()}, default=0.0, return_dtype=pl.Float64
    )
    value = pl.when(kind == "rate").then(_known(pl.col("value").cast(pl.Float64)) / RATING_MAX).otherwise(fixed)
    features = [
        (_known(pl.col(name).cast(pl.Float32)) if name in interactions.columns else pl.lit(0.0)).alias(name)
        for name in context_features
    ]
    return (
        interactions.select(
            "user_id",
            "content_id",
            value.cast(pl.Float32).alias("value"),
            (pl.col("occurred_at").dt.epoch("us") / 1e6).alias("at_s"),
            *features,
        )
        .with_columns(pl.int_range(pl.len()).alias("line"))
        .sort("user_id", "at_s", "line")
        .unique(["user_id", "content_id"], keep="last", maintain_order=True)
    )


def _known(number: pl.Expr) -> pl.Expr:
    """0 where nothing is known: null, not a number, infinite."""
    return pl.when(number.is_finite()).then(number).otherwise(0.0)


def _histories(ordered: pl.DataFrame, context_features: Sequence[str]) -> tuple[History, ...]:
    """One history per run of rows of the same viewer; all are views of the same arrays."""
    items, values, at_s = (ordered[name].to_numpy() for name in ("item", "value", "at_s"))
    known = ordered.select(context_features).to_numpy() if context_features else np.zeros((ordered.height, 0))
    context = np.ascontiguousarray(known, dtype=np.float32)
    ends = np.cumsum(ordered["user_id"].rle().struct.field("len").to_numpy(), dtype=np.int64)
    parts = (slice(start, end) for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=False))
    return tuple(History(items[part], values[part], at_s[part], context[part]) for part in parts)


def _year(facts: Mapping[str, tuple[object, object]], key: str) -> float:
    year = facts.get(key, (None, None))[0]
    return float(year) if isinstance(year, int | float) else float("nan")


def _hash(ordered: pl.DataFrame, titles: pl.DataFrame, context_features: Sequence[str]) -> str:
    """SHA-256 over everything that a model is made from, shortened to 16 digits.

    That is viewer, title, value, time and context of every row in order, and year and genres of every title.
    """
    digest = hashlib.sha256()
    for name in ("user_id", "content_id"):
        for start in range(0, ordered.height, ROWS_AT_ONCE):
            digest.update((b"\n" if start else b"") + "\n".join(ordered[name][start : start + ROWS_AT_ONCE]).encode())
    digest.update(ordered["value"].to_numpy().astype("<f4").tobytes())
    digest.update(ordered["at_s"].to_numpy().astype("<f8").tobytes())
    for name in context_features:
        digest.update(name.encode() + ordered[name].to_numpy().astype("<f4").tobytes())
    facts = titles.select(
        "content_id",
        pl.col("year").cast(pl.String).fill_null(""),
        pl.col("genres").list.eval(pl.element().fill_null("")).list.join("|").fill_null(""),
    )
    for row in facts.iter_rows():
        digest.update("\x1f".join(row).encode() + b"\n")
    return digest.hexdigest()[:16]
