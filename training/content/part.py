"""The content model as one additive part: ``static(j) + sum over watched titles i of decay ** steps * left_i . F_j``.

Belongs here: making the part of given settings, and in one call with weights of its own for the hybrid. Does not belong here:
choosing settings (training.content.model), the hybrid (training.hybrid).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from training.content import facts as facts_of
from training.content import weights
from training.content.config import ContentConfig
from training.content.facts import Facts
from training.content.space import Counted, Space, counted, space
from training.content.weights import KNOWN, Asked, Weights
from training.dataset import Dataset, Floats, History
from training.floors import Fitted
from training.linear import Ease

NAME = "content"


@dataclass(frozen=True, slots=True)
class Setting:
    """What was chosen.

    Attributes:
        ridge: L2 penalty of the regression.
        last: Titles that ask.
        decay: What each older one counts.
        weights: What each part counts.
    """

    ridge: float
    last: int
    decay: float
    weights: Weights


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Titles hidden from the histories, and what the rest says about them."""

    hidden: np.ndarray
    examples: Asked
    told: Counted

    def setting(self, facts: Facts, config: ContentConfig, ridge: float, last: int, decay: float) -> Setting:
        """Weights learned for a penalty and a query."""
        found = weights.learned(
            space(self.told, facts, ridge), self.examples, self.hidden, last, decay, config.strength
        )
        return Setting(ridge, last, decay, found)


def rehearse(dataset: Dataset, learn: Sequence[History], config: ContentConfig, seed: int) -> Rehearsal:
    """Hide titles, and count the rest."""
    random = np.random.default_rng(seed)
    popularity = np.bincount(np.concatenate([history.items for history in learn]), minlength=dataset.size)
    hidden = weights.draw(popularity.astype(np.float32), config.hidden, random)
    examples = weights.asked(learn, hidden, config, random)
    shown = weights.without(learn, hidden)
    return Rehearsal(hidden, examples, counted(shown if any(map(len, shown)) else learn, dataset.size, config))


def joined(found: Space, setting: Setting) -> Fitted:
    """The weighted sum of all parts, as one thin product."""
    of = setting.weights.of
    left = np.zeros_like(found.facts.rows)
    for name, part in found.lefts.items():
        left += np.float32(of.get(name, 0.0)) * part
    size = len(left)
    static = (of.get(KNOWN, 0.0) * found.known).astype(np.float32)
    static[0] = 0.0
    return Fitted(
        NAME,
        {"ridge": setting.ridge, "last": float(setting.last), "query_decay": setting.decay},
        static,
        np.ones(size, np.float32),
        setting.last,
        setting.decay,
        ease=Ease(left, sp.csr_matrix(found.facts.rows.T)),
    )


def content_part(
    dataset: Dataset,
    learn: Sequence[History],
    *,
    vectors: Floats | None = None,
    config: ContentConfig | None = None,
    seed: int = 0,
) -> Fitted:
    """Scores of the whole catalogue by content, also of titles that nobody met, in seconds.

    Args:
        dataset: Catalogue and facts of titles.
        learn: What is counted; one title at least.
        vectors: Of texts about titles, ``[N+1, d]``; rows of zeros where nothing is known; None: genres and years alone.
        config: Settings; the first penalty and the first query are taken.
        seed: Which titles are hidden to learn the weights.
    """
    chosen = ContentConfig() if config is None else config
    facts = facts_of.of(dataset, chosen, vectors)
    last, decay = chosen.queries[0]
    setting = rehearse(dataset, learn, chosen, seed).setting(facts, chosen, chosen.ridges[0], last, decay)
    return joined(space(counted(learn, dataset.size, chosen), facts, setting.ridge), setting)
