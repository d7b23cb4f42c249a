"""Partitions that assets share.

Belongs here: partition definitions. Does not belong here: what is written into one.
"""

from __future__ import annotations

import dagster as dg

EVENT_DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01", timezone="UTC", end_offset=1)
"""Days on which the API received events; today's partition is there from its first second."""
