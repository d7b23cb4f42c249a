"""What every table asset shares: its declaration as Dagster metadata, the rebuild with provenance, the result.

Belongs here: adapters from the catalogue and the lake to Dagster. Does not belong here: an asset, a transformation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from assets.resources import PlatformResource
from nexus.lake import quarantine
from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake
from nexus.lake.provenance import content_version, last_change

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

OWNER = "team:nexus"
# For steps that fill a server and change nothing when done twice: a server that dies is back within seconds.
SERVER_MAY_RESTART = dg.RetryPolicy(max_retries=3, delay=4)
Metadata = Mapping[str, Any]


def described(name: str, *, kinds: Sequence[str] = ("deltalake",)) -> dict[str, Any]:
    """The arguments of ``@dg.asset`` that follow from a table's declaration."""
    table = declared(name)
    columns = [
        dg.TableColumn(
            field.name,
            str(field.type),
            description=table.doc(field.name),
            constraints=dg.TableColumnConstraints(nullable=field.nullable, unique=table.primary_key == (field.name,)),
        )
        for field in table.schema
    ]
    return {
        "name": name,
        "group_name": table.layer,
        "description": table.description,
        "owners": [OWNER],
        "kinds": set(kinds),
        "metadata": {
            "dagster/column_schema": dg.TableSchema(columns=columns),
            "dagster/table_name": name,
            "primary_key": ", ".join(table.primary_key),
        },
    }


def result(lake: Lake, name: str, *, rows_written: int, more: Metadata | None = None) -> dg.MaterializeResult[None]:
    """What a table asset returns: row count, table version, data version."""
    version = lake.version(name)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": lake.count(name),
            "table_version": version,
            "rows_written": rows_written,
            **(more or {}),
        },
        data_version=dg.DataVersion(data_version(name, version)),
    )


def data_version(name: str, version: int | None) -> str:
    """A short hash of the table's version and schema."""
    facts = f"{name}@{version}:{declared(name).schema.remove_metadata()}"
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def rebuild(
    platform: PlatformResource,
    name: str,
    sources: Sequence[str],
    transform: Callable[..., DataFrame],
    more: Callable[[Lake], Metadata] | None = None,
) -> dg.MaterializeResult[None]:
    """Compute a whole table from others, unless it was made from exactly these versions by exactly this code.

    Args:
        platform: The platform.
        name: The table.
        sources: The tables that the transformation takes, in its order.
        transform: Spark DataFrames in, one out.
        more: Further metadata, from the finished table.
    """
    lake = platform.lake()
    facts = _made_from(lake, sources)
    rows = 0
    if _is_other(lake, name, facts):
        frames = [quarantine.corrected(lake, source, lake.spark_table(source)) for source in sources]
        rows = lake.write(name, transform(*frames), mode="overwrite", facts=facts).rows
    extra = dict(more(lake)) if more is not None and rows else {}
    return result(lake, name, rows_written=rows, more={**extra, "made_from": facts["inputs"], "code": facts["code"]})


def remade(
    platform: PlatformResource,
    name: str,
    sources: Sequence[str],
    transform: Callable[..., pl.DataFrame],
    code: str = "",
) -> dg.MaterializeResult[None]:
    """The same for small tables, which need no engine: polars frames in, one out.

    Args:
        platform: The platform.
        name: The table.
        sources: The tables that the transformation takes, in its order.
        transform: Polars DataFrames in, one out.
        code: What else the result depends on, as a short hash.
    """
    lake = platform.lake()
    facts = _made_from(lake, sources)
    facts["code"] += code
    rows = 0
    if _is_other(lake, name, facts):
        frames = [pl.DataFrame(lake.read(source)) for source in sources]
        rows = lake.write(name, transform(*frames), mode="overwrite", facts=facts).rows
    return result(lake, name, rows_written=rows, more={"made_from": facts["inputs"], "code": facts["code"]})


def _made_from(lake: Lake, sources: Sequence[str]) -> dict[str, str]:
    """Versions and identities of what a table is made from, and the code that makes it."""
    provenance = {source: content_version(lake, source) for source in sources}
    corrections = [at for source in sources if (at := quarantine.version(lake, source)) is not None]
    if corrections:
        provenance[quarantine.CORRECTIONS] = max(corrections)
    identities = {source: lake.identity(source) for source in sources}
    return {"inputs": str(provenance), "tables": str(identities), "code": code_version()}


def _is_other(lake: Lake, name: str, facts: Mapping[str, str]) -> bool:
    """Whether a table was not made from exactly these."""
    last = last_change(lake, name)
    return any(last.get(fact) != value for fact, value in facts.items())


@cache
def code_version() -> str:
    """A short hash of the transformations' and declarations' source."""
    import nexus.lake as package

    root = Path(package.__path__[0])
    digest = hashlib.sha256()
    for path in sorted((*root.glob("transforms/*.py"), *root.glob("tables/*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
