"""What the model is told about a viewer beside their history; neutral when it can't be had in time.

Belongs here: the time limit and the neutral default. Does not belong here: features (features.online).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from nexus import logs
from nexus.settings import Settings

WITHIN_S = 0.02
_LOG = logs.get(__name__)
Reader = Callable[[UUID], Awaitable[dict[str, float]]]


class Context:
    """Reads viewer features, or gives zeros."""

    def __init__(self, reader: Reader | None = None) -> None:
        self.reader = reader

    async def of(self, user_id: UUID, names: Sequence[str]) -> list[float]:
        """The features of these names, in this order; 0 = not known."""
        if self.reader is None or not names:
            return [0.0] * len(names)
        try:
            async with asyncio.timeout(WITHIN_S):
                found = await self.reader(user_id)
        except Exception as error:  # a missing feature is not worth a missing answer  # noqa: BLE001
            _LOG.info("features_not_read", cause=type(error).__name__)
            return [0.0] * len(names)
        return [float(found.get(name, 0.0)) for name in names]


def feature_reader(settings: Settings) -> Reader:
    """A reader of the feature store (blocking: it imports much)."""
    from features.online import ViewerFeatures

    return ViewerFeatures.from_settings(settings).read_named
