"""A recommendation request always gets an answer: champion, else content, else popular.

Belongs here: the order of rungs, their time limits, falling through, the answer's shape.
Does not belong here: how a rung chooses (rungs), HTTP (router).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from time import time
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

from nexus import ids, logs
from nexus.errors import NexusError
from nexus.served import new_id
from serving.metrics import Metrics
from serving.parts import is_unavailable
from serving.recommendations import rungs
from serving.recommendations.around import Around, Connect, nowhere
from serving.recommendations.context import Context
from serving.recommendations.library import Library
from serving.recommendations.reasons import explanation, reason
from serving.recommendations.record import Made
from serving.recommendations.rungs import NothingToSay, Pick, Source
from serving.recommendations.variety import AS_MEASURED, Variety, VectorsOf
from serving.viewers.store import Viewers
from serving.viewers.viewer import Entry, Viewer

CHAMPION_WITHIN_S = 1.0
CONTENT_WITHIN_S = 0.5
_LOG = logs.get(__name__)


class Keep(TypedDict):
    """What a kept answer depends on."""

    source: str
    user_id: UUID
    version: bytes
    library: Library


class Given(NamedTuple):
    """An answer, and under what it may be given again."""

    answer: dict[str, Any]
    keep: Keep | None


class Climbed(NamedTuple):
    """What the ladder came to."""

    source: Source
    picks: list[Pick]
    is_settled: bool
    """Whether a second try would come to the same: nothing failed or ran late."""


class Recommendations:
    """Recommends."""

    def __init__(
        self,
        library: Callable[[], Library],
        viewers: Viewers,
        context: Context,
        executor: Executor,
        metrics: Metrics,
        *,
        note: Callable[[Made], None] = lambda _: None,
        snapshot: Callable[[UUID], frozenset[str] | None] = lambda _: None,
        variety: Variety = AS_MEASURED,
        connect: Connect = nowhere,
    ) -> None:
        self._library = library
        self._viewers = viewers
        self._context = context
        self._executor = executor
        self._metrics = metrics
        self._note = note
        self._snapshot = snapshot
        self._variety = variety
        self._connect = connect

    async def recommend(self, identifier: UUID | ids.Reference, limit: int, *, explain: bool) -> dict[str, Any]:
        """The answer for one viewer.

        Raises:
            NexusError: ``not_found`` only: a part that is away is never the viewer's problem.
        """
        return (await self.give(identifier, limit, explain=explain)).answer

    async def give(self, identifier: UUID | ids.Reference, limit: int, *, explain: bool) -> Given:
        """The answer, written down under its id, and under what it may be given again."""
        viewer = await self._viewer(identifier)
        library = self._library()
        source, picks, is_settled = await self._climb_down(library, viewer, limit)
        self._metrics.recommendations.labels(source).inc()
        recommendation_id = new_id()
        used = _used(library, viewer, source, picks)
        reasons = [reason(pick, source, library.catalogue) for pick in picks]
        self._note(Made(recommendation_id, datetime.now(UTC), viewer, library, source, picks, used, reasons))
        answer = {
            "items": [_item(pick, why, library, explain=explain) for pick, why in zip(picks, reasons, strict=True)],
            "source": source,
            "model_version": library.model_version if source is Source.CHAMPION else None,
            "recommendation_id": recommendation_id,
            "degraded": viewer.degraded,
        }
        if viewer.version is None or not is_settled or viewer.user_id != ids.internal("user", identifier):
            return Given(answer, None)
        return Given(answer, Keep(source=source, user_id=viewer.user_id, version=viewer.version, library=library))

    async def _viewer(self, identifier: UUID | ids.Reference) -> Viewer:
        try:
            viewer = await self._viewers.read(identifier)
        except NexusError as error:
            if not is_unavailable(error):
                raise
            _LOG.warning("viewer_unreadable", reason=error.message)
            viewer = Viewer(ids.internal("user", identifier), is_complete=False, degraded="history_unknown")
        return viewer if viewer.is_complete else await self._with_snapshot(viewer)

    async def _with_snapshot(self, viewer: Viewer) -> Viewer:
        """What the stores don't say, as far as it was published: seen titles stay out."""
        published = await asyncio.to_thread(self._snapshot, viewer.user_id)
        if published is None:
            return viewer
        degraded = viewer.degraded if viewer.entries else "history_from_snapshot"
        return replace(viewer, hidden=viewer.hidden | published, degraded=degraded)

    async def _climb_down(self, library: Library, viewer: Viewer, limit: int) -> Climbed:
        around = Around(self._connect, library, viewer)
        ways: list[tuple[Source, float, Callable[[], Awaitable[list[Pick]]]]] = [
            (Source.CHAMPION, CHAMPION_WITHIN_S, lambda: self._by_champion(library, viewer, limit, around)),
            (Source.CONTENT, CONTENT_WITHIN_S, lambda: self._by_content(viewer, limit, around)),
        ]
        if not viewer.entries:
            ways = []
        is_settled = True
        for source, within_s, way in ways:
            try:
                async with asyncio.timeout(within_s):
                    picks = await way()
            except NothingToSay:
                continue
            except Exception as error:  # whatever fails on a rung, the next one answers  # noqa: BLE001
                is_settled = False
                self._metrics.rung_failures.labels(source).inc()
                _LOG.warning("rung_failed", rung=source, cause=type(error).__name__, reason=str(error)[:200])
                continue
            if picks:
                is_settled = is_settled and around.is_settled and self._is_settled(library, viewer, source)
                return Climbed(source, picks, is_settled)
        return Climbed(Source.POPULAR, rungs.popular_rung(library, viewer, limit), is_settled)

    def _is_settled(self, library: Library, viewer: Viewer, source: Source) -> bool:
        names = library.champion.manifest.context_features if library.champion else ()
        return source is not Source.CHAMPION or self._context.is_settled(viewer.user_id, names)

    async def _by_champion(self, library: Library, viewer: Viewer, limit: int, around: Around) -> list[Pick]:
        champion = library.champion
        if champion is None:
            raise NothingToSay("no model is served")
        context = await self._context.of(viewer.user_id, champion.manifest.context_features)
        found = await around.new_titles() if rungs.slots(limit) else library
        fresh_of = partial(rungs.new_titles, found, viewer)
        return await self._in_thread(
            partial(_champion, library, viewer, context, limit, self._variety, fresh_of, around.vectors_of)
        )

    async def _by_content(self, viewer: Viewer, limit: int, around: Around) -> list[Pick]:
        near = await around.content(limit)
        return await self._in_thread(lambda: rungs.content_rung(near, viewer, limit))

    async def _in_thread(self, work: Callable[[], list[Pick]]) -> list[Pick]:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _champion(
    library: Library,
    viewer: Viewer,
    context: list[float],
    limit: int,
    variety: Variety,
    fresh_of: Callable[[int], list[Pick]],
    vectors_of: VectorsOf,
) -> list[Pick]:
    """The model's choice, with new titles in the places that are kept for them."""
    fresh = fresh_of(len(rungs.slots(limit)))
    picks = rungs.champion_rung(
        library,
        viewer,
        context,
        limit - len(fresh),
        int(time() * 1000),
        variety,
        without={pick.content_id for pick in fresh},
        vectors_of=vectors_of,
    )
    return rungs.with_new_titles(picks, fresh, limit)


def _used(library: Library, viewer: Viewer, source: Source, picks: list[Pick]) -> list[Entry]:
    """The lines of the history that the rung looked at, newest first."""
    if source is Source.CHAMPION and library.champion is not None:
        return rungs.champion_history(library.champion, viewer)
    return rungs.content_history(viewer, {name for name, _ in picks[0].because}) if source is Source.CONTENT else []


def _item(pick: Pick, why: dict[str, Any], library: Library, *, explain: bool) -> dict[str, Any]:
    title = library.catalogue.titles[library.catalogue.rows[pick.content_id]]
    item: dict[str, Any] = title.as_item() | {
        "score": pick.score,
        "is_new": pick.is_new,
        "reason": why,
    }
    if explain:
        item["explanation"] = explanation(pick, library.catalogue)
    return item
