"""What the model is told about a viewer beside their history; neutral when it can't be had in time.

Belongs here: the time limit, the neutral default, keeping what was read for as long as it can't have changed much
(features are computed by the pipeline, not by the last event). Does not belong here: features (features.online).
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from uuid import UUID

from nexus import logs
from nexus.settings import Settings

WITHIN_S = 0.02
FRESH_S = 60.0
PAUSE_S = 5.0
"""After a failure, how long the store is left alone."""
AT_MOST = 10_000
AT_ONCE = 4
_LOG = logs.get(__name__)
Features = Mapping[str, float]
Reader = Callable[[UUID], Awaitable[Features]]


class Context:
    """Reads viewer features, or gives zeros."""

    def __init__(self, reader: Reader | None = None) -> None:
        self.reader = reader
        self._kept: OrderedDict[UUID, tuple[float, Features]] = OrderedDict()
        self._reading: dict[UUID, asyncio.Task[Features]] = {}
        self._again_at = 0.0

    async def of(self, user_id: UUID, names: Sequence[str]) -> list[float]:
        """The features of these names, in this order; 0 = not known."""
        found = await self._find(user_id) if names else {}
        values = [float(found.get(name, 0.0)) for name in names]
        return [value if math.isfinite(value) else 0.0 for value in values]

    def is_settled(self, user_id: UUID, names: Sequence[str]) -> bool:
        """Whether :meth:`of` would say the same again a moment later."""
        kept = self._kept.get(user_id)
        return not names or (kept is not None and monotonic() < kept[0])

    async def _find(self, user_id: UUID) -> Features:
        kept = self._kept.get(user_id)
        if kept is not None and monotonic() < kept[0]:
            return kept[1]
        stale = kept[1] if kept is not None else {}
        task = self._reading.get(user_id) or self._start(user_id)
        if task is None:
            return stale
        done, _ = await asyncio.wait([task], timeout=WITHIN_S)
        return task.result() if done else stale

    def _start(self, user_id: UUID) -> asyncio.Task[Features] | None:
        """Begin to read; one that comes too late for this request is there for the next."""
        if self.reader is None or monotonic() < self._again_at or len(self._reading) >= AT_ONCE:
            return None
        task = asyncio.create_task(self._read(self.reader, user_id))
        self._reading[user_id] = task
        task.add_done_callback(lambda _: self._reading.pop(user_id, None))
        return task

    async def _read(self, reader: Reader, user_id: UUID) -> Features:
        try:
            found = await reader(user_id)
        except Exception as error:  # a missing feature is not worth a missing answer  # noqa: BLE001
            self._again_at = monotonic() + PAUSE_S
            _LOG.info("features_not_read", cause=type(error).__name__, reason=str(error)[:200])
            return {}
        self._kept[user_id] = (monotonic() + FRESH_S, found)
        self._kept.move_to_end(user_id)
        while len(self._kept) > AT_MOST:
            self._kept.popitem(last=False)
        return found


def feature_reader(settings: Settings) -> Reader:
    """A reader of the feature store (blocking: it imports much)."""
    from features.online import ViewerFeatures

    return ViewerFeatures.from_settings(settings).read_named
