"""Which commit made a table's rows what they are: maintenance makes new versions of the same rows.

Belongs here: looking past maintenance in a table's history. Does not belong here: maintenance, writing.
"""

from __future__ import annotations

from typing import Any

from nexus.lake.lake import Lake

MAINTENANCE = frozenset({"OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "ADD CONSTRAINT"})
_PAGE = 20


def last_change(lake: Lake, table: str) -> dict[str, Any]:
    """The newest commit that changed rows, with the facts it carries; empty when the table is not there."""
    if not lake.exists(table):
        return {}
    limit = _PAGE
    while True:
        commits = lake.history(table, limit)
        for commit in commits:
            if commit.get("operation") not in MAINTENANCE:
                return commit
        if len(commits) < limit:
            return commits[-1] if commits else {}
        limit *= 10


def content_version(lake: Lake, table: str) -> int | None:
    """The version since which the rows are the same; None when the table is not there."""
    found = last_change(lake, table).get("version")
    return None if found is None else int(found)
