"""Times as people's tables write them, as microseconds since 1970.

Belongs here: reading whole columns of text. Does not belong here: whether a moment makes sense (layer core).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Beyond the year 33000 it counts something else, and 64 bits of microseconds would not hold it.
_MAX_US = 10**18
_WHOLE, _DECIMAL = r"^-?[0-9]{1,15}$", r"^-?[0-9]{1,15}\.[0-9]{1,9}$"
_PER_UNIT = {"epoch_s": 1_000_000, "epoch_ms": 1_000}
_WORDS = {
    "epoch_s": "is not seconds since 1970",
    "epoch_ms": "is not milliseconds since 1970",
    "iso": "is not ISO 8601 with an offset, as in 2026-01-31T20:15:00Z",
}


def micros(column: pa.ChunkedArray, time_format: str, time_zone: str | None) -> tuple[pa.ChunkedArray, str]:
    """Microseconds since 1970, UTC, null where a text is no such time; and what is then wrong with it."""
    words = _WORDS[time_format]
    if time_format == "iso":
        zone = ZoneInfo(time_zone) if time_zone is not None else None
        if zone is not None:
            words = "is not ISO 8601, as in 2026-01-31T20:15:00"
        known: dict[str | None, int | None] = {}
        texts = column.to_pylist()
        for text in texts:
            if text not in known:
                known[text] = _iso(text, zone)
        return pa.chunked_array([pa.array([known[text] for text in texts], pa.int64())]), words
    frame = pl.DataFrame({"text": pl.Series(pl.from_arrow(column))})
    bare, factor = pl.col("text").str.strip_chars().str.strip_prefix("+"), _PER_UNIT[time_format]
    parts = pl.col("bare").cast(pl.Float64, strict=False) * factor
    is_near = parts.abs() <= _MAX_US
    found = frame.select(bare.alias("bare")).select(
        pl.when(pl.col("bare").str.contains(_WHOLE) & is_near)
        .then(pl.col("bare").cast(pl.Int64, strict=False) * factor)
        .when(pl.col("bare").str.contains(_DECIMAL) & is_near)
        .then(parts.round().cast(pl.Int64, strict=False))
    )
    return pa.chunked_array([found.to_series().to_arrow()]), words


def _iso(text: str | None, zone: ZoneInfo | None) -> int | None:
    try:
        at = datetime.fromisoformat((text or "").strip())
        if at.tzinfo is None:
            if zone is None:
                return None
            at = at.replace(tzinfo=zone)
        return (at - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        return None
