"""Rebuilding a feature table, only when what it is made from changed.

Belongs here: provenance of tables that polars computes. Does not belong here: Spark tables (assets.tables.rebuild).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import dagster as dg
import polars as pl

from assets.resources import PlatformResource
from assets.tables import result
from nexus.lake import tables
from nexus.lake.catalogue import declared
from nexus.lake.provenance import content_version, last_change

Counts = Callable[[pl.DataFrame], dict[str, int]]


def rebuild(
    platform: PlatformResource,
    name: str,
    sources: Sequence[str],
    transform: Callable[..., pl.DataFrame],
    counts: Counts,
) -> dg.MaterializeResult[None]:
    """Compute a whole table from others, unless it was made from exactly these versions by exactly this code.

    Args:
        platform: The platform.
        name: The table.
        sources: The tables that the transformation takes, in its order.
        transform: polars frames in, one out.
        counts: Figures of the finished table, for the UI.
    """
    lake = platform.lake()
    versions = {source: lake.version(source) for source in sources}
    content = {source: content_version(lake, source) for source in sources}
    identities = {source: lake.identity(source) for source in sources}
    facts = {"inputs": str(content), "tables": str(identities), "code": code_version()}
    last = last_change(lake, name)
    if all(last.get(fact) == value for fact, value in facts.items()):
        table, written = pl.DataFrame(lake.read(name)), 0
    else:
        frames = [pl.DataFrame(lake.read(source, version=version)) for source, version in versions.items()]
        table = transform(*frames).select(declared(name).schema.names)
        written = lake.write(name, table, mode="overwrite", facts=facts).rows
    more = {"made_from": facts["inputs"], "code": facts["code"], **counts(table)}
    return result(lake, name, rows_written=written, more=more)


@cache
def code_version() -> str:
    """A short hash of the source of features and declarations."""
    import features

    digest = hashlib.sha256()
    for package in (features, tables):
        for path in sorted(Path(package.__path__[0]).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
