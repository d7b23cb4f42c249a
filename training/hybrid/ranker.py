"""The weights of parts: a conditional logit over the titles a viewer has not met.

Belongs here: the form, learning it, ranks of examples. Does not belong here: parts and examples (training.hybrid.features),
which parts there are weights for (training.hybrid.selection).

``score(j) = sum over parts p of w_p z_pj`` (McFadden 1974). The loss is convex, so L-BFGS finds the same weights whatever
the seed, and the score stays a sum of the parts.
"""

from __future__ import annotations

import numpy as np

from training.dataset import Floats, Ints
from training.hybrid.features import Examples

FAR_BELOW = -60.0
"""Logarithms of counts under this are of titles that only fill a row up."""


def learned(examples: Examples, *, strength: float, steps: int) -> Floats:
    """Weights ``[P]`` of least loss: minus the mean log likelihood of the titles that came next, plus the penalty."""
    import torch

    z, log_count = torch.from_numpy(examples.z), torch.from_numpy(examples.log_count)
    weight = torch.zeros(examples.z.shape[2], requires_grad=True)
    minimiser = torch.optim.LBFGS([weight], max_iter=steps, history_size=20, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        minimiser.zero_grad()
        scores = z @ weight
        value = (torch.logsumexp(scores + log_count, dim=1) - scores[:, 0]).mean() + strength * (weight**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    minimiser.step(loss)  # type: ignore[no-untyped-call]
    return np.asarray(weight.detach().numpy(), dtype=np.float32)


def ranks(examples: Examples, weights: Floats) -> Ints:
    """Rank of each example's title among its titles, equal scores counted against it."""
    scores = np.where(examples.log_count > FAR_BELOW, examples.z @ weights, -np.inf)
    return np.asarray(np.maximum((scores >= scores[:, :1]).sum(axis=1), 1), dtype=np.int64)
