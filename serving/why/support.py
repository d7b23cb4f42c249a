"""What in the training data speaks for a pair of titles: the viewers who have both, and some of their rows.

Belongs here: counting over one version of the training table. Does not belong here: tracing rows (rows).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import polars as pl

from nexus.errors import NexusError
from nexus.lake.lake import Lake
from serving.why.model import TRAINING

EXAMPLES = 2
Pair = tuple[str, str]
"""A title of the history, and the title that was recommended because of it."""


class Support:
    """The training rows of some titles."""

    def __init__(self, lake: Lake, version: int | None, titles: Iterable[str]) -> None:
        self.version, self.is_exact = version, True
        rows = _read(lake, version, sorted(set(titles)))
        if rows is None:
            self.version, self.is_exact = lake.version(TRAINING), False
            rows = _read(lake, None, sorted(set(titles)))
        self._by_title: dict[str, dict[str, tuple[datetime, str]]] = {}
        if rows is not None:
            for user_id, content_id, event_id, at in rows.sort("occurred_at").iter_rows():
                self._by_title.setdefault(content_id, {})[user_id] = (at, event_id)

    def of(self, pair: Pair) -> dict[str, Any]:
        """Counts for a pair, and the events of some viewers who have both (those who did so last)."""
        before, after = (self._by_title.get(title, {}) for title in pair)
        both = before.keys() & after.keys()
        newest = sorted(both, key=lambda user: (after[user][0], user), reverse=True)[:EXAMPLES]
        return {
            "viewers_with_both": len(both),
            "viewers_in_this_order": sum(before[user][0] <= after[user][0] for user in both),
            "viewers_with_title": len(after),
            "examples": [{"user_id": user, "event_ids": [before[user][1], after[user][1]]} for user in newest],
        }

    def alone(self, title: str) -> int:
        """How many viewers have a title."""
        return len(self._by_title.get(title, {}))


def _read(lake: Lake, version: int | None, titles: list[str]) -> pl.DataFrame | None:
    """None when this version is not there (any more)."""
    try:
        if not lake.exists(TRAINING):
            return None
        rows = lake.scan(TRAINING, version).filter(pl.col("content_id").is_in(titles))
        found = rows.select("user_id", "content_id", "event_id", "occurred_at").collect()
    except (NexusError, OSError, pl.exceptions.PolarsError):
        return None
    assert isinstance(found, pl.DataFrame)  # noqa: S101 (narrows the type)
    return found
