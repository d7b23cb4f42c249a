"""The as-of join: to each example, the newest feature row that was known at its time.

Feast's own join takes minutes and gigabytes for what this does in a second; Feast keeps the definitions and the
online values. Does not belong here: which features (features.schema), training sets (features.examples).
"""

from __future__ import annotations

import polars as pl

from features.schema import TIMESTAMP
from nexus.errors import invalid


def as_of_join(
    examples: pl.DataFrame, features: pl.DataFrame, *, on: str, by: str, strictly_before: bool = True
) -> pl.DataFrame:
    """Examples, in the order they came, with the feature columns known at their time; null where nothing was.

    Args:
        examples: What to join to.
        features: Columns ``by``, ``event_timestamp`` and the features.
        on: The column of the examples that says when.
        by: The entity's id, in both.
        strictly_before: Leave out what became known at the very moment of the example: a feature row includes the
            events of its moment, so with ties anything else would leak the example into its own features.

    Raises:
        NexusError: category ``invalid`` when an example has no time: it could not be joined without guessing.
    """
    if examples[on].null_count():
        raise invalid("an example has no time", field=on, value=None, remedy="drop or mend rows without a time")
    numbered = examples.with_row_index("_row")
    joined = numbered.sort(on, "_row").join_asof(
        features.sort(TIMESTAMP),
        left_on=on,
        right_on=TIMESTAMP,
        by=by,
        strategy="backward",
        allow_exact_matches=not strictly_before,
        check_sortedness=False,
        coalesce=False,
    )
    return joined.sort("_row").drop("_row", TIMESTAMP)
