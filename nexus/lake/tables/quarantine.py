"""Layer quarantine: what people did about refused rows. The refused rows themselves: core_nexus__quarantine.

A correction says what a raw row should have said; the raw row stays as it arrived (nexus.lake.quarantine).
"""

from __future__ import annotations

import pyarrow as pa

from nexus.lake.table import Table, instant, text, whole

TABLES = (
    Table(
        name="quarantine_nexus__corrections",
        description="What refused rows should have said, by whom and when; the newest correction of a field counts.",
        schema=pa.schema(
            [
                text("row_key", "the refused row, as in core_nexus__quarantine"),
                text("field", "column of the raw table"),
                text("value", "its corrected text; null takes the value away", nullable=True),
                text("correction_id", "the file of corrections: the same file has the same id"),
                whole("position", "line in that file"),
                text("corrected_by", "who"),
                instant("corrected_at", "when"),
            ]
        ),
        primary_key=("row_key", "field", "correction_id"),
    ),
    Table(
        name="quarantine_nexus__replays",
        description="Every time that refused rows were judged again: by whom, when, with what result.",
        schema=pa.schema(
            [
                text("replay_id", "UUID"),
                text("source", "the source that was asked for; empty: every one"),
                text("correction_id", "the corrections that came with it", nullable=True),
                text("requested_by", "who"),
                instant("requested_at", "when"),
                whole("considered", "rows that were in quarantine before"),
                whole("passed", "of them: rows that are accepted now"),
                whole("kept", "of them: rows that are still refused"),
            ]
        ),
        primary_key=("replay_id",),
        constraints={"counts": "passed + kept = considered"},
    ),
)
