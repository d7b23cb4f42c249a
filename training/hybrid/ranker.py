"""The weights of the parts: a conditional logit over the titles a viewer has not met, linear or with gates.

Belongs here: the form, learning it. Does not belong here: parts and examples (training.hybrid.features), what is chosen on
validation titles (training.hybrid.model).

``score(j) = sum over parts p of (w_p + g u_p + h_j v_p) z_pj``, with ``g`` and ``h`` the standardised logarithms of the length
of the history and of the popularity of the title: how much each part counts depends on how much is known of the viewer and of
the title, and the score stays a sum of the parts. The linear form has ``u = v = 0``. The loss is convex, so L-BFGS finds
the same weights whatever the seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.dataset import Floats
from training.hybrid.features import Examples

FORMS = ("linear", "gated")
FURTHEST = 3.0
"""Gates are held within so many standard deviations."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A learned ranker.

    Attributes:
        form: One of :data:`FORMS`.
        strength: L2 penalty it was learned with.
        plain: ``w``, ``[P]``.
        by_length: ``u``, ``[P]``.
        by_known: ``v``, ``[P]``.
        length: Mean and deviation of ``log(1 + titles watched)``.
        known: Mean and deviation of ``log(1 + viewers of a title)``.
    """

    form: str
    strength: float
    plain: Floats
    by_length: Floats
    by_known: Floats
    length: tuple[float, float]
    known: tuple[float, float]

    def viewer_gate(self, lengths: npt.NDArray[np.integer]) -> Floats:
        """``g`` of histories with so many titles."""
        return _gate(np.log1p(lengths), self.length)

    def title_gate(self, popularity: Floats) -> Floats:
        """``h`` of titles that so many viewers met."""
        return _gate(np.log1p(popularity), self.known)

    def scores(self, z: Floats, viewer: Floats, title: Floats) -> Floats:
        """Scores ``[n, N+1]`` of parts ``[n, P, N+1]``, gates ``[n]`` and ``[N+1]``."""
        per_viewer = self.plain[None] + viewer[:, None] * self.by_length[None]
        found = np.matmul(per_viewer[:, None], z)[:, 0]
        if np.any(self.by_known):
            found = found + title[None] * np.matmul(self.by_known[None, None], z)[:, 0]
        return np.asarray(found, dtype=np.float32)


def _gate(values: npt.NDArray[np.floating], of: tuple[float, float]) -> Floats:
    found: Floats = np.clip((values - of[0]) / of[1], -FURTHEST, FURTHEST).astype(np.float32)
    return found


def equal(parts: int) -> Weights:
    """Every part counts the same: what is taken where there is nothing to learn from."""
    nothing = np.zeros(parts, np.float32)
    return Weights("equal", 0.0, np.ones(parts, np.float32), nothing, nothing, (0.0, 1.0), (0.0, 1.0))


def learned(examples: Examples, form: str, strength: float, *, steps: int) -> Weights:
    """Weights of least loss: minus the mean log likelihood of the titles that came next, plus the penalty."""
    import torch

    parts = examples.z.shape[2]
    length, known = _spread(examples.length), _spread(examples.known[:, 0])
    z, log_count = torch.from_numpy(examples.z), torch.from_numpy(examples.log_count)
    viewer = torch.from_numpy(_gate(examples.length, length))[:, None]
    title = torch.from_numpy(_gate(examples.known, known))
    weight = torch.zeros(parts, 3 if form == "gated" else 1, requires_grad=True)
    minimiser = torch.optim.LBFGS([weight], max_iter=steps, history_size=20, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        minimiser.zero_grad()
        found = z @ weight
        scores = found[..., 0]
        if form == "gated":
            scores = scores + viewer * found[..., 1] + title * found[..., 2]
        value = (torch.logsumexp(scores + log_count, dim=1) - scores[:, 0]).mean() + strength * (weight**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    minimiser.step(loss)  # type: ignore[no-untyped-call]
    found = np.zeros((3, parts), np.float32)
    found[: weight.shape[1]] = weight.detach().numpy().T
    return Weights(form, strength, found[0], found[1], found[2], length, known)


def _spread(values: Floats) -> tuple[float, float]:
    return float(values.mean()), max(float(values.std()), 1e-3)
