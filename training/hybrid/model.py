"""The hybrid as a model: parts, weights learned on titles before the validation title, form and penalty chosen on that.

Belongs here: what is fitted on what, the fitted scorer. Does not belong here: parts, features, weights, the graph (their own
modules beside this one).

With each history that may be learned from ending in ..., t3, t2, t1: the weights are learned on every t, with parts counted
over what came before it in all histories; the mixture's own weights come from what lies before all of them. The scorer's parts
are counted over everything that may be learned from, with the same weights. Validation titles decide the form, the
penalty and the scale (as it is, or logarithms) of the parts, nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nexus.errors import Category, NexusError
from training.dataset import Dataset, Floats, History, Split
from training.evaluation import Scorer, evaluate
from training.hybrid import features, parts, ranker
from training.hybrid.config import HybridConfig
from training.hybrid.features import Examples
from training.hybrid.fitted import MIXTURE, FittedHybrid, Maker, Mixture, judged
from training.hybrid.ranker import Weights
from training.models_api import Tell

ALWAYS_BENT = frozenset({MIXTURE})
NEVER_BENT = frozenset({"ease", "ease_recent", "ease_newest", "popularity", "genres", "years", "text"})
"""Scores that can be negative or are logarithms or cosines already."""
FEWEST = 20
"""Examples that weights are learned from, and viewers that the mixture is trained on."""
MIXTURE_SHARE = 0.6
"""Of the budget, at most, for the mixture."""

Vectors = Callable[[Dataset], Floats]
Way = tuple[bool, ...]
"""Of each part, whether its logarithm is taken."""


@dataclass
class HybridModel:
    """The learned ranker over parts.

    Attributes:
        config: Settings.
        vectors: Gives vectors of texts about titles, ``[N+1, d]``; None: there are none.
        name: As it stands in tables.
    """

    config: HybridConfig
    vectors: Vectors | None = None
    name: str = "hybrid"

    def fit(
        self,
        dataset: Dataset,
        learn: Sequence[History],
        *,
        validation: Split | None,
        seed: int,
        budget_s: float,
        tell: Tell,
    ) -> Scorer:
        """Train the mixture, count the parts, learn their weights, choose on the validation titles.

        Without validation titles the first form and penalty are taken.

        Raises:
            NexusError: category ``conflict`` when there is nothing to learn from.
        """
        from training import recommender
        from training.determinism import repeatable

        if not any(map(len, learn)):
            raise NexusError(
                "there is nothing to learn from",
                category=Category.CONFLICT,
                field="learn",
                value=f"{len(learn)} histories",
                remedy="give data with more viewers",
            )
        started = time.monotonic()
        with repeatable(seed, threads=recommender.THREADS):
            mixture = self._mixture(dataset, learn, seed, budget_s * MIXTURE_SHARE, tell)
            vectors = None if self.vectors is None else self.vectors(dataset)
            maker = Maker(dataset, self.config, vectors, mixture)
            final = maker.parts(learn)
            ways = [bends(list(final), is_bent) for is_bent in (False, True)]
            asked = self._examples(maker, learn, ways, seed, started + budget_s)
            return self._best(maker, final, learn, asked, validation, tell)

    def _mixture(
        self, dataset: Dataset, learn: Sequence[History], seed: int, budget_s: float, tell: Tell
    ) -> Mixture | None:
        """The mixture's weights, learned from what came before every title that the ranker learns from."""
        from training import recommender

        config = self.config.mixture
        base = [before(history, self.config.targets) for history in learn]
        if config is None:
            return None
        split = ending(base, 1, max(config.earliest, 1))
        known = [before(history, 1) for history in base]
        if split is None or sum(len(history) > config.earliest for history in known) < FEWEST:
            tell(f"{self.name}: too few viewers for the mixture, it is left out")
            return None
        prepared = recommender.prepare_from(dataset, config, known, split)
        trained = recommender.train(prepared, seed=seed, max_seconds=budget_s)
        tell(f"{self.name}: the mixture is trained, {trained.seconds:.0f} s")
        return lambda histories: recommender.rebuilt(trained, prepared, histories)

    def _examples(
        self, maker: Maker, learn: Sequence[History], ways: Sequence[Way], seed: int, until: float
    ) -> dict[Way, Examples]:
        """Examples in each way of bending the parts; none where there are too few."""
        config = self.config
        rows = np.arange(len(learn))
        if len(rows) > config.viewers:
            rows = np.sort(np.random.default_rng(seed).choice(rows, config.viewers, replace=False))
        made: list[tuple[Examples, ...]] = []
        for back in range(1, config.targets + 1):
            asked = ending([learn[int(row)] for row in rows], back, config.earliest)
            if asked is None or (back > 1 and time.monotonic() > until):
                break
            short = replace(asked, histories=tuple(features.newest(asked.histories, config.history_length)))
            earlier = [before(history, back) for history in learn]
            scorers, counts = list(maker.parts(earlier).values()), parts.popularity(earlier, maker.dataset.size)
            made += features.examples(
                scorers, ways, short, counts, hard=config.hard, drawn=config.drawn, seed=seed + back
            )
        if len(made) < FEWEST:
            return {}
        return {way: features.together([row[place] for row in made]) for place, way in enumerate(ways)}

    def _best(
        self,
        maker: Maker,
        final: Mapping[str, Scorer],
        learn: Sequence[History],
        asked: Mapping[Way, Examples],
        validation: Split | None,
        tell: Tell,
    ) -> FittedHybrid:
        names, size = list(final), maker.dataset.size
        counts = parts.popularity(learn, size)
        candidates = [
            FittedHybrid(final, way, weights, counts, maker)
            for way, found in asked.items()
            for weights in self._tried(found)
        ] or [FittedHybrid(final, bends(names, False), ranker.equal(len(names)), counts, maker)]
        if validation is None:
            return candidates[0]
        figures = judged(candidates, validation)
        best = candidates[int(np.argmax(figures))]
        alone = {name: _ndcg(part, validation, size) for name, part in final.items()}
        tell(
            f"{self.name}: NDCG@10 {max(figures):.4f} on validation titles, best of {len(candidates)}; the best part alone "
            f"{max(alone.values()):.4f}"
        )
        return replace(best, alone=alone)

    def _tried(self, asked: Examples) -> list[Weights]:
        return [
            ranker.learned(asked, form, strength, steps=self.config.steps)
            for form in ranker.FORMS
            for strength in self.config.strengths
        ]


def _ndcg(scorer: Scorer, split: Split, size: int) -> float:
    return float(evaluate(scorer, split, size).ndcg_10.mean(dtype=np.float64))


def bends(names: Sequence[str], is_bent: bool) -> tuple[bool, ...]:
    """Which parts are taken by their logarithm."""
    return tuple(name in ALWAYS_BENT or (is_bent and name not in NEVER_BENT) for name in names)


def before(history: History, last: int) -> History:
    """Without the newest titles."""
    return history.until(max(0, len(history) - last))


def ending(histories: Sequence[History], last: int, earliest: int) -> Split | None:
    """The ``last``-th title from the end of each history that has ``earliest`` before it; None when there is none."""
    found = [history for history in histories if len(history) - last >= earliest]
    if not found:
        return None
    return Split(
        "learning",
        tuple(history.until(len(history) - last) for history in found),
        np.array([history.items[-last] for history in found], dtype=np.int64),
        np.stack([history.context[-last] for history in found]),
    )
