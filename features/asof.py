"""The as-of join: to each example, the newest feature row that was known at its time.

Feast's own join takes minutes and gigabytes for what this does in a second; Feast keeps the definitions and the
online values. polars' ``join_asof`` is used on two narrow frames (number of the entity, time, number of the row), so that
sorting by time and putting back in order move no wide rows: this is faster than sorting what is joined.
Does not belong here: which features (features.schema), training sets (features.examples).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from features.schema import TIMESTAMP
from nexus.errors import invalid

Codes = npt.NDArray[np.int32]


def as_of_join(
    examples: pl.DataFrame, features: pl.DataFrame, *, on: str, by: str, strictly_before: bool = True
) -> pl.DataFrame:
    """Examples, in the order they came, with the feature columns known at their time; null where nothing was.

    An example or a feature row without an entity matches nothing, nor does a feature row without a time. Of several
    rows of one entity with the same time, the last one in the order of the rows counts.

    Args:
        examples: What to join to.
        features: Columns ``by``, ``event_timestamp`` and the features; in any order.
        on: The column of the examples that says when.
        by: The entity's id, in both.
        strictly_before: Leave out what became known at the very moment of the example: a feature row includes the
            events of its moment, so with ties anything else would leak the example into its own features.

    Raises:
        NexusError: category ``invalid`` when an example has no time (it could not be joined without guessing), when the
            two sides tell time or entities in different types, or when a feature is named like a column of the examples.
    """
    _check(examples, features, on=on, by=by)
    values = features.drop(by, TIMESTAMP)
    rows = _newest(examples, features, on=on, by=by, strictly_before=strictly_before)
    return examples.hstack(values.select(pl.all().gather(rows))) if values.width else examples


def _check(examples: pl.DataFrame, features: pl.DataFrame, *, on: str, by: str) -> None:
    if examples[on].null_count():
        raise invalid("an example has no time", field=on, value=None, remedy="drop or mend rows without a time")
    for left, right in ((on, TIMESTAMP), (by, by)):
        kinds = examples.schema[left], features.schema[right]
        if kinds[0] != kinds[1]:
            raise invalid(
                "examples and features do not have the same type here",
                field=left,
                value=f"{kinds[0]} and {kinds[1]}",
                remedy="cast one of the two before the join",
            )
    if twice := sorted(set(examples.columns) & set(features.columns) - {by, TIMESTAMP}):
        raise invalid(
            "a feature has the name of a column of the examples",
            field=twice[0],
            value=twice,
            remedy="rename or drop one of the two",
        )


def _newest(examples: pl.DataFrame, features: pl.DataFrame, *, on: str, by: str, strictly_before: bool) -> pl.Series:
    """For each example, the number of the feature row that holds; null where none does."""
    entity_known, entity_asked = _codes(features[by], examples[by])
    known = (
        pl.DataFrame({"entity": entity_known, "at": features[TIMESTAMP]})
        .with_row_index("row")
        .filter(pl.col("entity") >= 0, pl.col("at").is_not_null())
    )
    asked = pl.DataFrame({"entity": entity_asked, "asked_at": examples[on]}).with_row_index("place")
    joined = _in_time(asked, "asked_at").join_asof(
        _in_time(known, "at"),
        left_on="asked_at",
        right_on="at",
        by="entity",
        strategy="backward",
        allow_exact_matches=not strictly_before,
        check_sortedness=False,
    )
    came = np.empty(joined.height, dtype=np.uint32)
    came[joined["place"].to_numpy()] = np.arange(joined.height, dtype=np.uint32)
    return joined["row"].gather(pl.Series(came))


def _in_time(rows: pl.DataFrame, at: str) -> pl.DataFrame:
    return rows if rows[at].is_sorted() else rows.sort(at, maintain_order=True)


def _codes(known: pl.Series, asked: pl.Series) -> tuple[Codes, Codes]:
    """Entities as small whole numbers, the same on both sides; -1 for null."""
    both = pa.chunked_array([known.rechunk().to_arrow(), asked.rechunk().to_arrow()]).dictionary_encode()
    numbers = [np.zeros(0, np.int32), *(_numbers(chunk) for chunk in both.chunks)]
    codes = np.concatenate(numbers)
    return codes[: len(known)], codes[len(known) :]


def _numbers(encoded: pa.DictionaryArray) -> Codes:
    return np.asarray(encoded.indices.fill_null(-1), dtype=np.int32)
