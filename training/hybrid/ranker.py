"""The weights of parts: what ranks the titles that came next highest, on the scale of a conditional logit.

Belongs here: the form, learning it, ranks of examples. Does not belong here: parts and examples (training.hybrid.features),
which parts there are weights for (training.hybrid.selection).

``score(j) = sum over parts p of w_p z_pj``. Learned in three steps:

1. A conditional logit (McFadden 1974): convex, so the same weights are found whatever the seed. Its likelihood is mostly made of
   titles that no list would show.
2. From there the direction of the weights with the best NDCG@10 where a rank is a sum of sigmoids (ApproxNDCG: Qin, Liu and Li
   2010), held back towards the logit.
3. The length of the weights by the likelihood again, so that scores stay logarithms of how likely a title is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.dataset import Floats, Ints
from training.hybrid.features import Examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

FAR_BELOW = -60.0
"""Logarithms of counts under this are of titles that only fill a row up."""
SOFTNESS = 0.1
"""Deviations of a score within which two titles are as good as level."""
UNIT = 1e-3
"""What keeps the length of a direction, which does not matter, near 1."""


def learned(examples: Examples, *, strength: float, steps: int, pull: float) -> Floats:
    """Weights ``[P]``.

    Args:
        examples: Titles that came next among others.
        strength: L2 penalty on the weights of the logit.
        steps: Of L-BFGS, at most, in each of the three steps.
        pull: Of the logit on the direction: penalty on the squared distance of the two unit vectors.
    """
    first = likeliest(examples, strength=strength, steps=steps)
    if not np.linalg.norm(first) > 0 or len(first) == 1:
        return first
    direction = _best_at_the_top(examples, first, pull, steps)
    along = Examples((examples.z @ direction)[:, :, None], examples.log_count)
    length = likeliest(along, strength=strength, steps=steps)
    # Where the likelihood would have the best direction turned round it says nothing of the length.
    return np.asarray(direction * (length[0] if length[0] > 0 else np.linalg.norm(first)), dtype=np.float32)


def likeliest(examples: Examples, *, strength: float, steps: int) -> Floats:
    """Weights of least loss: minus the mean log likelihood of the titles that came next, plus the penalty."""
    import torch

    z, log_count = torch.from_numpy(examples.z), torch.from_numpy(examples.log_count)

    def loss(weight: Tensor) -> Tensor:
        scores = z @ weight
        return (torch.logsumexp(scores + log_count, dim=1) - scores[:, 0]).mean() + strength * (weight**2).sum()

    return least(loss, np.zeros(examples.z.shape[2], np.float32), steps)


def _best_at_the_top(examples: Examples, start: Floats, pull: float, steps: int) -> Floats:
    """The unit vector near ``start`` with the most smooth NDCG@10."""
    import torch

    z = torch.from_numpy(examples.z)
    count = torch.from_numpy(
        np.where(examples.log_count > FAR_BELOW, np.exp(examples.log_count), 0.0).astype(np.float32)
    )
    towards = torch.from_numpy((start / np.linalg.norm(start)).astype(np.float32))

    def loss(weight: Tensor) -> Tensor:
        unit = weight / weight.norm()
        scores = z @ unit
        above = (torch.sigmoid((scores - scores[:, :1]) / SOFTNESS) * count)[:, 1:].sum(dim=1)
        missed = -(1.0 / torch.log2(2.0 + above)).mean()
        return missed + pull * ((unit - towards) ** 2).sum() + UNIT * (weight.norm() - 1.0) ** 2

    found = least(loss, towards.numpy(), steps)
    return np.asarray(found / np.linalg.norm(found), dtype=np.float32)


def least(loss: Callable[[Tensor], Tensor], start: Floats, steps: int) -> Floats:
    """Where a loss is least, by L-BFGS from a start on."""
    import torch

    weight = torch.from_numpy(start.astype(np.float32)).clone().requires_grad_(True)
    minimiser = torch.optim.LBFGS([weight], max_iter=steps, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        minimiser.zero_grad()
        value = loss(weight)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    minimiser.step(closure)  # type: ignore[no-untyped-call]
    return np.asarray(weight.detach().numpy(), dtype=np.float32)


def ranks(examples: Examples, weights: Floats) -> Ints:
    """Rank of each example's title among its titles, equal scores counted against it.

    Args:
        examples: Titles that came next among others.
        weights: ``[P]``, or of each example its own, ``[E, P]``.
    """
    found = examples.z @ weights if weights.ndim == 1 else np.einsum("esp,ep->es", examples.z, weights)
    scores = np.where(examples.log_count > FAR_BELOW, found, -np.inf)
    return np.asarray(np.maximum((scores >= scores[:, :1]).sum(axis=1), 1), dtype=np.int64)
