"""A recommendation request always gets an answer: champion, else content, else popular.

Belongs here: the order of rungs, their time limits, falling through, the answer's shape.
Does not belong here: how a rung chooses (rungs), HTTP (router).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from time import time
from typing import Any
from uuid import UUID

from nexus import ids, logs
from nexus.errors import NexusError
from serving.metrics import Metrics
from serving.parts import is_unavailable
from serving.recommendations import rungs
from serving.recommendations.context import Context
from serving.recommendations.library import Library
from serving.recommendations.reasons import explanation, reason
from serving.recommendations.rungs import NothingToSay, Pick, Source
from serving.viewers.store import Viewers
from serving.viewers.viewer import Viewer

CHAMPION_WITHIN_S = 1.0
CONTENT_WITHIN_S = 0.5
_LOG = logs.get(__name__)


class Recommendations:
    """Recommends."""

    def __init__(
        self,
        library: Callable[[], Library],
        viewers: Viewers,
        context: Context,
        executor: Executor,
        metrics: Metrics,
    ) -> None:
        self._library = library
        self._viewers = viewers
        self._context = context
        self._executor = executor
        self._metrics = metrics

    async def recommend(self, identifier: UUID | ids.Reference, limit: int, *, explain: bool) -> dict[str, Any]:
        """The answer for one viewer.

        Raises:
            NexusError: ``not_found`` only: a part that is away is never the viewer's problem.
        """
        viewer = await self._viewer(identifier)
        library = self._library()
        source, picks = await self._climb_down(library, viewer, limit)
        self._metrics.recommendations.labels(source).inc()
        return {
            "items": [_item(pick, source, library, explain=explain) for pick in picks],
            "source": source,
            "model_version": library.model_version if source is Source.CHAMPION else None,
        }

    async def _viewer(self, identifier: UUID | ids.Reference) -> Viewer:
        try:
            return await self._viewers.read(identifier)
        except NexusError as error:
            if not is_unavailable(error):
                raise
            _LOG.warning("viewer_unreadable", reason=error.message)
            return Viewer(ids.internal("user", identifier), is_complete=False)

    async def _climb_down(self, library: Library, viewer: Viewer, limit: int) -> tuple[Source, list[Pick]]:
        ways: list[tuple[Source, float, Callable[[], Awaitable[list[Pick]]]]] = [
            (Source.CHAMPION, CHAMPION_WITHIN_S, lambda: self._by_champion(library, viewer, limit)),
            (
                Source.CONTENT,
                CONTENT_WITHIN_S,
                lambda: self._in_thread(lambda: rungs.content_rung(library, viewer, limit)),
            ),
        ]
        if not viewer.entries:
            ways = []
        for source, within_s, way in ways:
            try:
                async with asyncio.timeout(within_s):
                    picks = await way()
            except NothingToSay:
                continue
            except Exception as error:  # whatever fails on a rung, the next one answers  # noqa: BLE001
                self._metrics.rung_failures.labels(source).inc()
                _LOG.warning("rung_failed", rung=source, cause=type(error).__name__, reason=str(error)[:200])
                continue
            if picks:
                return source, picks
        return Source.POPULAR, rungs.popular_rung(library, viewer, limit)

    async def _by_champion(self, library: Library, viewer: Viewer, limit: int) -> list[Pick]:
        champion = library.champion
        if champion is None:
            raise NothingToSay("no model is served")
        context = await self._context.of(viewer.user_id, champion.manifest.context_features)
        return await self._in_thread(lambda: _champion(library, viewer, context, limit))

    async def _in_thread(self, work: Callable[[], list[Pick]]) -> list[Pick]:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _champion(library: Library, viewer: Viewer, context: list[float], limit: int) -> list[Pick]:
    fresh = rungs.new_titles(library, viewer, len(rungs.slots(limit)))
    picks = rungs.champion_rung(library, viewer, context, limit - len(fresh), int(time() * 1000))
    return rungs.with_new_titles(picks, fresh, limit)


def _item(pick: Pick, source: Source, library: Library, *, explain: bool) -> dict[str, Any]:
    title = library.catalogue.titles[library.catalogue.rows[pick.content_id]]
    item: dict[str, Any] = title.as_item() | {
        "score": pick.score,
        "is_new": pick.is_new,
        "reason": reason(pick, source, library.catalogue),
    }
    if explain:
        item["explanation"] = explanation(pick, library.catalogue)
    return item
