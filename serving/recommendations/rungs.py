"""The three ways to recommend, as pure functions: by the champion, by likeness of content, by popularity.

Belongs here: choosing titles and the numbers behind each choice. On every rung: never a seen, hidden or unknown title.
Does not belong here: time limits and falling through (service), words (reasons).
"""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

import numpy as np

from serving.content.vectors import top
from serving.models.champion import Champion
from serving.recommendations.library import Library
from serving.recommendations.shares import NONE, Shares
from serving.recommendations.variety import AS_MEASURED, DAY_MS, Variety, VectorsOf, draw_of
from serving.viewers.viewer import Entry, Viewer, is_liked, signal

SLOT_EVERY = 10
SLOT_FROM = 5
"""A last group of fewer titles than this keeps no place for a new one."""
NEW_TITLE_SIMILARITY = 0.35
NEW_TITLE_HISTORY = 50
CONTENT_HISTORY = 50


class Source(StrEnum):
    """Which rung answered."""

    CHAMPION = "champion"
    CONTENT = "content"
    POPULAR = "popular"


@dataclass(frozen=True, slots=True)
class Pick:
    """A chosen title and the numbers behind the choice."""

    content_id: str
    score: float
    because: Shares = NONE
    """What each title of the history added to the score, greatest first."""
    static: float = 0.0
    """What does not come from the history."""
    is_new: bool = False
    parts: tuple[tuple[str, float], ...] = ()
    """What each part of the model adds to the score; they add up to it. None: it has no parts, or this is not its choice."""
    is_waiting: bool = False
    """New to viewers, not to the library: the model knows it, and nobody has watched it."""


class NothingToSay(Exception):  # noqa: N818 - not an error: this rung has no answer for this viewer
    """This rung has no basis for an answer."""


def champion_rung(
    library: Library,
    viewer: Viewer,
    context: Sequence[float],
    limit: int,
    now_ms: int,
    variety: Variety = AS_MEASURED,
    *,
    without: Collection[str] = (),
    vectors_of: VectorsOf | None = None,
) -> list[Pick]:
    """The model's best titles but those named, with what each title of the history added."""
    champion = library.champion
    if champion is None:
        raise NothingToSay("no model is served")
    used = champion_history(champion, viewer)[::-1]
    if not used:
        raise NothingToSay("no title of the history is known to the model")
    asked = champion.ask(
        [champion.index[entry["content_id"]] for entry in used],
        [signal(entry) for entry in used],
        [max(0.0, (now_ms - entry["at_ms"]) / DAY_MS) for entry in used],
        context,
    )
    allowed = library.is_offered.copy()
    allowed[[champion.index[one] for one in viewer.barred().union(without) if one in champion.index]] = False
    scores = np.where(allowed, champion.scores(asked), -np.inf)
    draw = draw_of(viewer.user_id, now_ms)
    chosen = variety.chosen(scores, limit, vectors_of or library.vectors_of_positions, draw).tolist()
    if not chosen:
        return []
    of_history, of_parts = champion.explained(asked, chosen)
    added = of_history[-len(used) :]
    names = [entry["content_id"] for entry in used]
    return [
        Pick(
            champion.vocabulary[position],
            float(scores[position]),
            Shares(names, added[:, column]),
            float(scores[position] - added[:, column].sum()),
            parts=tuple(zip(champion.parts, of_parts[:, column].tolist(), strict=True)),
        )
        for column, position in enumerate(chosen)
    ]


def champion_history(champion: Champion, viewer: Viewer) -> list[Entry]:
    """What the model looks at, newest first."""
    known = (entry for entry in viewer.watched() if entry["content_id"] in champion.index)
    return list(islice(known, champion.history_length))


def content_history(viewer: Viewer, has_vector: Container[str]) -> list[Entry]:
    """What likeness is measured from, newest first."""
    return [one for one in viewer.liked()[:CONTENT_HISTORY] if one["content_id"] in has_vector]


def content_rung(library: Library, viewer: Viewer, limit: int) -> list[Pick]:
    """Titles whose text is near the mean of what the viewer liked; the mean splits exactly into its titles."""
    names, liked = library.vectors.of([entry["content_id"] for entry in content_history(viewer, library.vectors.rows)])
    if not names:
        raise NothingToSay("no title of the history has an embedding")
    mean = liked.mean(axis=0)
    length = max(float(np.linalg.norm(mean)), 1e-12)
    similarity = library.vectors.matrix @ (mean / length)
    allowed = library.vector_is_offered.copy()
    allowed[[library.vectors.rows[one] for one in viewer.barred() if one in library.vectors.rows]] = False
    chosen = top(np.where(allowed, similarity, -np.inf), limit)
    parts = (liked @ library.vectors.matrix[chosen].T) / (len(names) * length)
    return [
        Pick(library.vectors.content_ids[row], float(similarity[row]), Shares(names, parts[:, column]))
        for column, row in enumerate(chosen)
    ]


def popular_rung(library: Library, viewer: Viewer, limit: int) -> list[Pick]:
    """What most viewers of this installation watch."""
    barred = viewer.barred()
    picks: list[Pick] = []
    for row in library.catalogue.popular:
        title = library.catalogue.titles[row]
        if title.content_id not in barred:
            picks.append(Pick(title.content_id, title.popularity_score, static=title.popularity_score))
        if len(picks) == limit:
            break
    return picks


def new_titles(library: Library, viewer: Viewer, limit: int) -> list[Pick]:
    """Titles that the model has not met: by the bundle's projection, else by likeness of text."""
    if limit <= 0:
        return []
    return _near_in_text(library, viewer, limit) if library.newcomers is None else _projected(library, viewer, limit)


def _projected(library: Library, viewer: Viewer, limit: int) -> list[Pick]:
    """Titles that nobody had met when the model was made, by what is known about them, with what each watched title adds."""
    newcomers = library.newcomers
    asking = newcomers.asking(viewer) if newcomers is not None else None
    if newcomers is None or asking is None:
        return []
    scores = newcomers.scores(asking, viewer.barred())
    chosen = top(scores, limit)
    parts = newcomers.contributions(asking, chosen)
    return [
        Pick(
            newcomers.content_ids[row],
            float(scores[row]),
            Shares(asking.names, parts[:, column]),
            float(scores[row] - parts[:, column].sum()),
            is_new=True,
            is_waiting=bool(newcomers.is_waiting[row]),
        )
        for column, row in enumerate(chosen.tolist())
    ]


def _near_in_text(library: Library, viewer: Viewer, limit: int) -> list[Pick]:
    """Titles outside the vocabulary, near in text to one the viewer watched and did not dislike."""
    if not len(library.new_rows):
        return []
    watched = [entry["content_id"] for entry in viewer.watched() if is_liked(entry)]
    names, history = library.history.of(watched[:NEW_TITLE_HISTORY])
    if not names:
        return []
    similarity = library.new_vectors @ history.T
    nearest = similarity.argmax(axis=1)
    best = similarity.max(axis=1)
    barred = viewer.barred()
    picks: list[Pick] = []
    for row in top(best, limit + len(barred)):
        content_id = library.vectors.content_ids[library.new_rows[row]]
        if best[row] < NEW_TITLE_SIMILARITY or len(picks) == limit:
            break
        if content_id not in barred:
            because = Shares([names[nearest[row]]], best[row : row + 1])
            picks.append(Pick(content_id, float(best[row]), because, is_new=True))
    return picks


def slots(limit: int) -> list[int]:
    """The places that are kept for new titles: the last of each ten, and of a last group that is not tiny."""
    places = list(range(SLOT_EVERY - 1, limit, SLOT_EVERY))
    if limit % SLOT_EVERY >= SLOT_FROM:
        places.append(limit - 1)
    return places


def with_new_titles(picks: list[Pick], fresh: list[Pick], limit: int) -> list[Pick]:
    """Put new titles into their places; the others keep their order."""
    merged = list(picks)
    for place, pick in zip(slots(limit), fresh, strict=False):
        merged.insert(min(place, len(merged)), pick)
    return merged[:limit]
