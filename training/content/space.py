"""The collaborative space seen from what is known about titles: ridge regression from facts to what viewers say.

Belongs here: the regression, the parts of the model in its space. Does not belong here: weights of the parts
(training.content.weights), choices (training.content.model).

With rows ``F`` of facts and ``S`` the titles that somebody met, ``K = F_S (F_S' F_S + lambda I)^-1`` (0 elsewhere) makes of any
scores ``c`` of met titles the scores ``F K' c`` of all titles, so of any collaborative table ``B`` the scores of a title that nobody
met: ``near(i, j) = (B K)_i . F_j``. Linear autoencoders and counts have hundreds of such targets per title, and all of
them are predicted at once by ``K`` (ridge regression with many outputs); the idea of predicting the collaborative embedding
from content is that of van den Oord et al. 2013, "Deep content-based music recommendation".

Every part is ``left_i . F_j``, so is their weighted sum, and a title's contribution to a score is exact.

==========  ==============================================================================
``ease``    the row of EASE (Steck 2019), projected
``next``    what followed within some steps, over the root of the title's popularity, projected
``alike``   the title itself, projected: nearness in facts as far as they tell titles apart
``genres``  cosine of genres
``years``   cosine of years' bumps
``text``    cosine of text vectors, where these are given
==========  ==============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.content.config import ContentConfig
from training.content.facts import GENRES, TEXT, YEARS, Facts
from training.dataset import Floats, History
from training.linear import Ease, incidence
from training.neighbours import pairs


@dataclass(frozen=True, slots=True)
class Space:
    """The parts over some histories.

    Attributes:
        lefts: By name, ``[N+1, D]``.
        known: Logarithm of popularity as facts predict it, ``[N+1]``.
        of_fact: The same of each single fact, ``[D]``; ``known`` is their sum over a title's facts.
        facts: The other side, ``[N+1, D]``.
    """

    lefts: Mapping[str, Floats]
    known: Floats
    of_fact: Floats
    facts: Facts


@dataclass(frozen=True, slots=True)
class Counted:
    """What viewers say, made once for every penalty."""

    ease: Ease
    diagonal: Floats
    following: object
    popularity: Floats


def counted(learn: Sequence[History], size: int, config: ContentConfig) -> Counted:
    """EASE, what followed what, and popularity."""
    viewers = [history.items for history in learn if len(history)]
    popularity = np.bincount(np.concatenate(viewers), minlength=size).astype(np.float32)
    few = viewers
    if len(viewers) > config.ease_viewers:
        rows = np.random.default_rng(0).choice(len(viewers), config.ease_viewers, replace=False)
        few = [viewers[int(row)] for row in np.sort(rows)]
    ease = Ease.fit(incidence(few, size), config.ease_lambda)
    following = pairs(viewers, size, range(1, config.window + 1), config.decay).tocsr()
    return Counted(ease, _diagonal(ease), following, popularity)


def _diagonal(ease: Ease) -> Floats:
    """What EASE's product has where it means 0."""
    if ease.right is None:
        return np.diag(ease.left).astype(np.float32)
    found: Floats = np.asarray(ease.right.multiply(ease.left.T).sum(axis=0), dtype=np.float32).ravel()
    return found


def space(told: Counted, facts: Facts, ridge: float) -> Space:
    """All parts for one penalty."""
    met = told.popularity > 0
    back = projection(facts.rows, met, ridge)
    projected = back if told.ease.right is None else np.asarray(told.ease.right @ back, dtype=np.float32)
    source = np.maximum(told.popularity, 1.0)[:, None] ** -0.5
    lefts: dict[str, Floats] = {
        "ease": (told.ease.left @ projected - told.diagonal[:, None] * back).astype(np.float32),
        "next": (source * np.asarray(told.following @ back)).astype(np.float32),  # type: ignore[operator]
        "alike": back,
    }
    lefts |= {block: facts.only(block) for block in (GENRES, YEARS, TEXT) if block in facts.blocks}
    of_fact = np.asarray(back.T @ np.log1p(told.popularity), dtype=np.float32)
    return Space(lefts, np.asarray(facts.rows @ of_fact, dtype=np.float32), of_fact, facts)


def projection(rows: Floats, met: np.ndarray, ridge: float) -> Floats:
    """``K``, ``[N+1, D]``."""
    own = rows[met].astype(np.float64)
    found = np.zeros(rows.shape, np.float32)
    found[met] = np.linalg.solve(own.T @ own + ridge * np.eye(rows.shape[1]), own.T).T
    return found
