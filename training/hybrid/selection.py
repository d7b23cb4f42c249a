"""Which parts the hybrid is made of: one more only where viewers who had no say in its weight are ranked better.

Belongs here: folds, forward selection. Does not belong here: learning weights (training.hybrid.ranker), parts.

Stacked generalisation (Wolpert 1992): weights are learned on the validation titles of some viewers and judged on those of the
others. It begins with the trained parts together, since models that learn in different ways are known to be better together and on
few viewers nobody can tell by how much; only where some part alone is better than them by evidence it begins with that one. Then, of
all that could be added, the best is taken if its NDCG@10 is better by more than some standard errors of the paired
difference, as in the rule of one standard error (Breiman et al. 1984). So a counted part that helps on a hundred thousand viewers may be
left out on a hundred. Less is asked of parts that are expected to help and so are not the best of many: the trained ones, and
popularity, which the sum of two models counts twice: if both are logarithms of probabilities and know different things,
``p(j | a, b)`` is in proportion to ``p(j | a) p(j | b) / p(j)``.

In the end weights may depend on the viewer (training.hybrid.gate): by how much they watched, or by that and their features. The
better of the two is taken where it is better than fixed weights by as much as is asked of a counted part.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from training.bundle_format import TRAINED
from training.dataset import Floats, Ints
from training.evaluation import ndcg
from training.hybrid import gate, ranker
from training.hybrid.config import HybridConfig
from training.hybrid.features import Examples
from training.hybrid.gate import Gate

EXPECTED = frozenset({*TRAINED, "popularity"})
"""Parts that little is asked of; see the module's words."""
AT_ONCE = 4
"""Parts that are judged at a time, each on a thread: linear algebra lets go of the interpreter."""
GATES = ("gate by history length", "gate by history length and viewer features")
"""As they are called among the steps."""


@dataclass(frozen=True, slots=True)
class Step:
    """One part that was added.

    Attributes:
        part: Its name.
        ndcg: Cross-validated NDCG@10 with it, over the examples' titles.
        gain: Over the step before; of the trained parts that are begun with, over the best part alone.
        error: Standard error of that gain.
    """

    part: str
    ndcg: float
    gain: float
    error: float


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen.

    Attributes:
        parts: By their place.
        weights: ``[P]``.
        unbiased: Weights of each example's viewer, learned without them, ``[E, P]``.
        steps: How it came to these parts.
        gate: How weights depend on the viewer; None: they do not.
        tried: What a gate was worth, whether it was taken or not.
    """

    parts: tuple[int, ...]
    weights: Floats
    unbiased: Floats
    steps: tuple[Step, ...]
    gate: Gate | None = None
    tried: tuple[Step, ...] = ()


def fold_of(count: int, folds: int, seed: int) -> Ints:
    """A fold for each example."""
    found: Ints = np.random.default_rng(seed).permutation(count) % folds
    return found


def chosen(examples: Examples, names: Sequence[str], config: HybridConfig, seed: int) -> Chosen:
    """Forward selection over all parts."""
    fold = fold_of(len(examples), config.folds, seed)
    parts, reached, steps = _start(examples, names, fold, config)
    while (better := _better(examples, names, parts, reached, fold, config)) is not None:
        place, reached, step = better
        parts.append(place)
        steps.append(step)
    weights = _learned(examples, _all(examples), parts, config)
    fixed = _by_fold(_folds(examples, parts, fold, config), fold)
    tried = _gates(examples, parts, reached, fixed, fold, config)
    best = max(tried, key=lambda one: one.step.gain, default=None)
    steps_tried = tuple(one.step for one in tried)
    if best is None or best.step.gain <= config.errors * best.step.error:
        return Chosen(tuple(parts), weights, fixed, tuple(steps), tried=steps_tried)
    found = _gate(examples.only(_all(examples), parts), weights, best.count, config)
    return Chosen(tuple(parts), weights, best.unbiased, (*steps, best.step), found, steps_tried)


@dataclass(frozen=True, slots=True)
class _Tried:
    """A gate that looks at so many facts, judged on viewers who had no say in it."""

    count: int
    step: Step
    unbiased: Floats


def _gates(
    examples: Examples, parts: Sequence[int], reached: Floats, fixed: Floats, fold: Ints, config: HybridConfig
) -> list[_Tried]:
    """By how much was watched, and by that and the viewer's features where there are any."""
    if not config.has_gate or not len(examples.facts) or len(parts) < 2:
        return []
    found = []
    for count in sorted({gate.LENGTH, examples.facts.shape[1]}):
        unbiased = np.zeros_like(fixed)
        for one in range(config.folds):
            rows, others = np.flatnonzero(fold == one), np.flatnonzero(fold != one)
            base = fixed[rows[0]]
            learned = _gate(examples.only(others, parts), base, count, config)
            unbiased[rows] = learned.weights(base, examples.facts[rows])
        judged = ndcg(ranker.ranks(examples.only(_all(examples), parts), unbiased), 10)
        gain, error = _compared(judged, reached)
        name = GATES[count > gate.LENGTH]
        found.append(_Tried(count, Step(name, float(judged.mean()), gain, error), unbiased))
    return found


def _gate(examples: Examples, base: Floats, count: int, config: HybridConfig) -> Gate:
    return gate.learned(examples, base, count, strength=config.gate_strength, steps=config.steps)


def _by_fold(weights: Floats, fold: Ints) -> Floats:
    found: Floats = weights[fold]
    return found


_ONE = np.ones(1, np.float32)


def _start(
    examples: Examples, names: Sequence[str], fold: Ints, config: HybridConfig
) -> tuple[list[int], Floats, list[Step]]:
    """The parts to begin with, NDCG@10 of each example with them, and how it came to them."""
    alone = [ndcg(ranker.ranks(examples.only(_all(examples), [part]), _ONE), 10) for part in range(len(names))]
    means = [float(found.mean()) for found in alone]
    best = int(np.argmax(means))
    trained = sorted((part for part, name in enumerate(names) if name in TRAINED), key=lambda part: -means[part])
    if len(trained) > 1 and _is_sound(examples, names, trained, config):
        together = _judged(examples, trained, fold, config)
        gain, error = _compared(together, alone[best])
        if gain > -config.errors * error:
            rest = [Step(names[part], float(together.mean()), gain, error) for part in trained[1:]]
            return trained, together, [Step(names[trained[0]], means[trained[0]], means[trained[0]], 0.0), *rest]
    return [best], alone[best], [Step(names[best], means[best], means[best], 0.0)]


def _compared(found: Floats, before: Floats) -> tuple[float, float]:
    """The mean of the paired differences and its standard error."""
    difference = (found - before).astype(np.float64)
    return float(difference.mean()), float(difference.std() / np.sqrt(len(difference)))


def _better(
    examples: Examples, names: Sequence[str], parts: Sequence[int], reached: Floats, fold: Ints, config: HybridConfig
) -> tuple[int, Floats, Step] | None:
    """The part to add, NDCG@10 of each example with it, and the step; None where no part helps enough."""
    others = [part for part in range(len(names)) if part not in parts]
    with ThreadPoolExecutor(AT_ONCE) as pool:  # each alone on its thread: the same numbers however many there are
        judged = pool.map(lambda part: _judged(examples, [*parts, part], fold, config), others)
        found = dict(zip(others, judged, strict=True))
    for part in sorted(found, key=lambda one: -float(found[one].mean())):
        gain, error = _compared(found[part], reached)
        if gain > _asked(names[part], config) * error and _is_sound(examples, names, [*parts, part], config):
            return part, found[part], Step(names[part], float(found[part].mean()), gain, error)
    return None


def _is_sound(examples: Examples, names: Sequence[str], parts: Sequence[int], config: HybridConfig) -> bool:
    """Whether no trained part would count against what it says: such a weight is chance."""
    weights = _learned(examples, _all(examples), parts, config)
    return all(weight > 0 for part, weight in zip(parts, weights, strict=True) if names[part] in TRAINED)


def _asked(name: str, config: HybridConfig) -> float:
    return config.errors_expected if name in EXPECTED else config.errors


def _all(examples: Examples) -> Ints:
    return np.arange(len(examples))


def _learned(examples: Examples, rows: Ints, parts: Sequence[int], config: HybridConfig) -> Floats:
    return ranker.learned(examples.only(rows, parts), strength=config.strength, steps=config.steps, pull=config.pull)


def _folds(examples: Examples, parts: Sequence[int], fold: Ints, config: HybridConfig) -> Floats:
    return np.stack([_learned(examples, np.flatnonzero(fold != one), parts, config) for one in range(config.folds)])


def _judged(examples: Examples, parts: Sequence[int], fold: Ints, config: HybridConfig) -> Floats:
    """NDCG@10 of each example by the weights that were learned without its fold."""
    found = np.zeros(len(examples), np.float32)
    for one, weights in enumerate(_folds(examples, parts, fold, config)):
        rows = np.flatnonzero(fold == one)
        found[rows] = ndcg(ranker.ranks(examples.only(rows, parts), weights), 10)
    return found
