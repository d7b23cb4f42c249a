"""The gate: weights of parts that depend on the viewer, where validation titles say that they should.

Belongs here: what of a viewer is looked at, learning slopes, weights of viewers. Does not belong here: whether there is a gate at all
(training.hybrid.selection), the graph (training.hybrid.graph).

``w_p(viewer) = w_p + sum over facts f of g_f(viewer) u_fp``. Facts are the logarithm of how many titles of the history are
looked at and the viewer features of the feature store (features.schema, the served input ``context``; data without them
have the first alone), standardised over the validation viewers and cut at two deviations. Slopes are a conditional logit beside the
fixed weights: convex, with a penalty of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.dataset import Floats, History
from training.hybrid import ranker
from training.hybrid.features import Examples

FAR = 2.0
"""Deviations at which a fact is cut: nobody learned what lies further out."""
LENGTH = 1
"""Facts that are known of everybody."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What was learned.

    Attributes:
        mean: Of each fact over the validation viewers, ``[G]``.
        scale: One over its deviation; 0 where all viewers have the same, ``[G]``.
        slopes: ``[G, P]``.
    """

    mean: Floats
    scale: Floats
    slopes: Floats

    def weights(self, base: Floats, facts: Floats) -> Floats:
        """Weights ``[n, P]`` of viewers with such facts ``[n, F]``; the gate looks at the first ones only."""
        known = facts[:, : len(self.mean)]
        found: Floats = (base[None] + standard(known, self.mean, self.scale) @ self.slopes).astype(np.float32)
        return found


def facts(histories: Sequence[History], contexts: Floats, length: int) -> Floats:
    """What is known of viewers, ``[n, 1 + F]``: how much they watched, and their features."""
    counts = np.array([min(len(history), length) for history in histories], dtype=np.float32)
    return np.concatenate([np.log1p(counts)[:, None], contexts.reshape(len(counts), -1)], axis=1).astype(np.float32)


def standard(found: Floats, mean: Floats, scale: Floats) -> Floats:
    """Mean 0, deviation 1, cut; what is not a number counts as the mean."""
    moved = np.nan_to_num((found - mean) * scale, nan=0.0)
    return np.clip(moved, -FAR, FAR).astype(np.float32)


def learned(examples: Examples, base: Floats, count: int, *, strength: float, steps: int) -> Gate:
    """Slopes of the first facts of the examples' viewers.

    Args:
        examples: Titles that came next among others, with their viewers' facts.
        base: Weights of the parts, which stay, ``[P]``.
        count: How many of the facts are looked at.
        strength: L2 penalty on the slopes.
        steps: Of L-BFGS, at most.
    """
    import torch

    known = examples.facts[:, :count].astype(np.float64)
    mean, spread = known.mean(axis=0), known.std(axis=0)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-6 * np.maximum(np.abs(mean), 1.0))
    gate = Gate(mean.astype(np.float32), scale.astype(np.float32), np.zeros((count, len(base)), np.float32))
    g = torch.from_numpy(standard(examples.facts[:, :count], gate.mean, gate.scale))
    z, log_count = torch.from_numpy(examples.z), torch.from_numpy(examples.log_count)
    fixed = z @ torch.from_numpy(base)

    def loss(flat: torch.Tensor) -> torch.Tensor:
        slopes = flat.reshape(count, len(base))
        scores = fixed + torch.bmm(z, (g @ slopes)[:, :, None])[:, :, 0]
        return (torch.logsumexp(scores + log_count, dim=1) - scores[:, 0]).mean() + strength * (flat**2).sum()

    slopes = ranker.least(loss, gate.slopes.ravel(), steps).reshape(gate.slopes.shape)
    return Gate(gate.mean, gate.scale, slopes)
