"""May this model replace the champion? Decided by evidence on the same held-out titles, and answered with the numbers.

Belongs here: the paired bootstrap, the rules, the decision as plain data.
Does not belong here: where ranks come from (training.experiment, training.tracking), what follows (workflows).

Rules, with ``d`` = the challenger's NDCG@10 less the other's, viewer by viewer, and its one-sided 95 % bounds from a paired
bootstrap over viewers:

* against the champion and every floor: mean ``d`` > 0 and the lower bound of ``d`` above ``-MARGIN``. On some hundred viewers
  the standard error of ``d`` is about 0.005, so asking for a lower bound above 0 would refuse nearly every true
  improvement; the margin refuses what could be a real loss;
* a challenger that is itself a floor (it won on validation) need not beat another floor on the test titles, which chose
  nothing: it is refused only when the other is better by evidence (upper bound of ``d`` below 0);
* the served signature and the context features must be the ones that serving feeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.bundle_format import INPUTS, OUTPUTS, Manifest, is_served_form
from training.evaluation import ndcg

RESAMPLES = 5000
SEED = 20_261_123
CONFIDENCE = 0.95
MARGIN = 0.005
CHAMPION = "champion"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Challenger less other, NDCG@10."""

    against: str
    challenger: float
    other: float
    mean_difference: float
    lower: float
    upper: float
    is_passed: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """The gate's answer."""

    is_accepted: bool
    reasons: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    viewers: int
    resamples: int = RESAMPLES
    seed: int = SEED
    confidence: float = CONFIDENCE
    margin: float = MARGIN

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)

    def words(self) -> str:
        """One sentence."""
        return ("accepted: " if self.is_accepted else "refused: ") + "; ".join(self.reasons)


def decide(
    challenger: Sequence[int],
    floors: Mapping[str, Sequence[int]],
    champion: Sequence[int] | None,
    *,
    is_floor: bool,
    complaints: Sequence[str] = (),
) -> Decision:
    """Compare ranks of the same held-out titles.

    Args:
        challenger: Rank of each viewer's held-out title.
        floors: The same of every floor, by name (without the challenger itself).
        champion: The same of the current champion; None when there is none.
        is_floor: Whether the challenger is a floor.
        complaints: What is wrong with its form (see :func:`check_form`).
    """
    comparisons = [compare(name, challenger, ranks, lenient=is_floor) for name, ranks in floors.items()]
    if champion is not None:
        comparisons.insert(0, compare(CHAMPION, challenger, champion, lenient=False))
    reasons = [*complaints, *(_words(found) for found in comparisons if not found.is_passed)]
    is_accepted = not reasons
    return Decision(is_accepted, tuple(reasons or map(_words, comparisons)), tuple(comparisons), len(challenger))


def compare(name: str, challenger: Sequence[int], other: Sequence[int], *, lenient: bool) -> Comparison:
    """Paired bootstrap over viewers."""
    own, theirs = ndcg(np.asarray(challenger), 10), ndcg(np.asarray(other), 10)
    difference = (own - theirs).astype(np.float64)
    lower, upper = bootstrap(difference)
    mean = float(difference.mean())
    is_passed = upper >= 0 if lenient else mean > 0 and lower > -MARGIN
    return Comparison(name, float(own.mean()), float(theirs.mean()), mean, lower, upper, bool(is_passed))


def bootstrap(
    difference: npt.NDArray[np.float64], *, resamples: int = RESAMPLES, seed: int = SEED, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """One-sided lower and upper bounds of the mean, each at the given confidence."""
    random = np.random.default_rng(seed)
    count = len(difference)
    means = np.array([difference[random.integers(0, count, count)].mean() for _ in range(resamples)])
    return float(np.quantile(means, 1 - confidence)), float(np.quantile(means, confidence))


def check_form(manifest: Manifest, context_features: Sequence[str], served_titles: int | None) -> list[str]:
    """What keeps a model from being served, whatever its figures."""
    complaints = []
    if not is_served_form(manifest.inputs, manifest.outputs):
        complaints.append(f"signature {manifest.inputs} -> {manifest.outputs} is not {INPUTS} -> {OUTPUTS}")
    if manifest.context_features != tuple(context_features):
        complaints.append(f"context features {manifest.context_features} are not those of the feature store")
    if served_titles is not None and manifest.titles < 0.9 * served_titles:
        complaints.append(f"it knows {manifest.titles} titles, the champion {served_titles}")
    return complaints


def _words(found: Comparison) -> str:
    sign = "better than" if found.mean_difference > 0 else "not better than"
    return (
        f"NDCG@10 {found.challenger:.4f} is {sign} {found.against} {found.other:.4f} "
        f"(difference {found.mean_difference:+.4f}, {CONFIDENCE:.0%} bounds {found.lower:+.4f} and {found.upper:+.4f})"
    )
