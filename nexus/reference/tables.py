"""The page of lake tables: every declared table with its columns, keys and constraints.

Belongs here: reading the catalogue. Does not belong here: declarations (nexus.lake.tables).
"""

from __future__ import annotations

from nexus.lake.catalogue import TABLES
from nexus.lake.table import Table
from nexus.reference.markdown import page, table

LAYERS = "Layers: raw (as read, all text), core (typed, one row per fact), marts (what later steps read), features, training."


def render() -> str:
    """The page."""
    listed = table(
        ("table", "what it is"),
        [(f"[`{name}`](#{name})", declared.description) for name, declared in TABLES.items()],
    )
    return page("Lake tables", "`nexus/lake/tables`", LAYERS, listed, *map(_section, TABLES.values()))


def _section(declared: Table) -> str:
    facts = [declared.description]
    if declared.primary_key:
        facts.append(f"Primary key: {', '.join(f'`{name}`' for name in declared.primary_key)}.")
    if declared.partition_by:
        facts.append(f"Partitioned by {', '.join(f'`{name}`' for name in declared.partition_by)}.")
    facts += [f"Always: `{sql}` ({name})." for name, sql in declared.constraints.items()]
    rows = [
        (f"`{field.name}`", f"`{field.type}`", "may be null" if field.nullable else "", declared.doc(field.name))
        for field in declared.schema
    ]
    return "\n\n".join([f"## {declared.name}", " ".join(facts), table(("column", "type", "", "meaning"), rows)])
