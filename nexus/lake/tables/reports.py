"""Layer reports: how the data changed since the champion was trained, and how good it is, over time.

Appended, never replaced: one set of rows per measurement. How each figure is computed: training/drift.py, nexus/lake/quality.py.
"""

from __future__ import annotations

import pyarrow as pa

from nexus.lake.table import Table, column, instant, number, text, whole

TABLES = (
    Table(
        name="reports_nexus__drift",
        description="New interactions against those that the champion was trained on: one row per measurement and metric.",
        schema=pa.schema(
            [
                text("champion", "version of the model that was served"),
                whole("reference_version", "version of training_nexus__examples that it was trained on"),
                whole("current_version", "version of marts_nexus__interactions that was compared with it"),
                text("metric", "what was compared; protocol says how"),
                number("value", "the figure"),
                number("threshold", "what it should not exceed, given how many rows there are"),
                column("is_over", pa.bool_(), "value > threshold, with enough new rows for a verdict"),
                whole("reference_rows", "interactions that the champion knows"),
                whole("current_rows", "interactions that came since"),
                text("protocol", "how the figure and its threshold were obtained"),
                instant("measured_at", "when"),
            ]
        ),
        primary_key=("champion", "reference_version", "current_version", "metric"),
    ),
    Table(
        name="reports_nexus__quality",
        description="Rows, nulls, duplicate keys and refused rows of every table, at each version that was measured.",
        schema=pa.schema(
            [
                text("table_name", "the table; for refused_share the source of the rows"),
                whole("table_version", "its version"),
                text("measure", "rows, null_share, duplicate_share or refused_share"),
                text("column_name", "for null_share: the column; else empty"),
                number("value", "rows: how many; else a share, 0 to 1"),
                instant("measured_at", "when"),
            ]
        ),
        primary_key=("table_name", "table_version", "measure", "column_name"),
        constraints={"value_positive": "value >= 0.0"},
    ),
)
