"""A trained sequence network as a scorer of the catalogue, and which watched titles moved a score.

Belongs here: padding of histories, scoring in batches, leave-one-title-out reasons. Does not belong here: training (loop),
files (checkpoint, export).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from training.dataset import Dataset, Floats, History, Ints

if TYPE_CHECKING:
    from training.export import Exported
    from training.sequence.net import SequenceNet

Times = npt.NDArray[np.float64]
ROWS = 64
"""Histories that are encoded at once."""


@dataclass(frozen=True, slots=True)
class SequenceScorer:
    """Scores of the whole catalogue for histories of any length.

    Attributes:
        net: The network, on the CPU, not training.
        size: Vocabulary, the padding included.
        settings: What the training came to, for the summary.
        again: Goes on training over longer histories; None: the weights stay as they are.
    """

    net: SequenceNet = field(repr=False)
    size: int
    settings: dict[str, Any] = field(default_factory=dict)
    again: Callable[[SequenceNet, Sequence[History]], SequenceScorer] | None = field(default=None, repr=False)

    @property
    def history_length(self) -> int:
        """The newest titles that are looked at."""
        return self.net.config.length

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:  # noqa: ARG002 (the Scorer protocol)
        """Scores ``[n, N+1]``, asked for at the time of each newest event.

        Titles outside the vocabulary are passed over; a history without any other gets the scores of a new viewer.
        """
        return self._scores(histories, None)

    def scores_at(self, histories: Sequence[History], contexts: Floats, asked_at_s: Times) -> Floats:  # noqa: ARG002
        """The same, asked for at given seconds since 1970 (matters to networks with a time bias only)."""
        return self._scores(histories, asked_at_s)

    def _scores(self, histories: Sequence[History], asked_at_s: Times | None) -> Floats:
        import torch

        out = np.empty((len(histories), self.size), dtype=np.float32)
        order = np.argsort([len(history) for history in histories], kind="stable")
        with torch.inference_mode():
            head = self.net.head
            titles = head.prepared(self.net.table())
            for start in range(0, len(order), ROWS):
                rows = order[start : start + ROWS]
                asked = None if asked_at_s is None else asked_at_s[rows]
                items, times = aligned([histories[row] for row in rows], self.history_length, self.size, asked)
                viewers = self._newest(items, times).split(max(1, ROWS // head.pairs))
                found = [head.scores(some, titles) for some in viewers]
                out[rows] = torch.cat(found).float().cpu().numpy()
        return out

    def encode(self, histories: Sequence[History]) -> Floats:
        """Where the next title lies for each viewer, ``[n, d]``.

        A dot product with a row of ``titles`` is a score, unless the network has another head.
        """
        import torch

        with torch.inference_mode():
            items, times = aligned(histories, self.history_length, self.size, None)
            return np.asarray((self._newest(items, times) * self.net.scale).cpu().numpy(), dtype=np.float32)

    @property
    def titles(self) -> Floats:
        """Output embeddings, ``[N+1, d]``."""
        return np.asarray(self.net.table().detach().cpu().numpy(), dtype=np.float32)

    def moved(self, history: History, titles: Ints) -> Floats:
        """How much lower each title would score without each watched title: ``[newest L of the history, len(titles)]``.

        Measured by leaving each one out in turn, so it is what the model does, not an attribution made up afterwards.
        """
        import torch

        newest = History(*(part[-self.history_length :] for part in _columns(history)))
        without = [History(*(np.delete(part, at, axis=0) for part in _columns(newest))) for at in range(len(newest))]
        head = self.net.head
        with torch.inference_mode():
            found = head.scores(
                self._newest(*aligned([newest, *without], self.history_length, self.size, None)),
                head.prepared(self.net.table()[torch.from_numpy(titles)]),
            )
        return np.asarray((found[:1] - found[1:]).cpu().numpy(), dtype=np.float32)

    def refit(self, learn: Sequence[History]) -> SequenceScorer:
        """Train on over histories that reach further, as far as the recipe wants it; nothing is chosen there."""
        return self if self.again is None else self.again(self.net, learn)

    def export(self, dataset: Dataset, path: Path) -> Exported:
        """Write the network as ONNX and prove that it says what this scorer says."""
        from training.sequence.export import export

        return export(self, dataset, path)

    def _newest(self, items: Ints, times: Times) -> Any:
        import torch

        device = self.net.titles.weight.device
        return self.net.newest(torch.from_numpy(items).to(device), torch.from_numpy(times).to(device))


def aligned(histories: Sequence[History], length: int, size: int, asked_at_s: Times | None) -> tuple[Ints, Times]:
    """Newest titles at the right, 0 at the left, no wider than the longest history and its beginning need.

    Returns:
        ``items`` ``[n, T]`` and seconds ``[n, T+1]``; the last column is the request, padding has the time of the oldest event.
    """
    kept = [_known(history, length, size) for history in histories]
    width = min(length, max((len(items) for items, _ in kept), default=0) + 1)
    items = np.zeros((len(kept), width), dtype=np.int64)
    times = np.zeros((len(kept), width + 1), dtype=np.float64)
    for row, (found, at_s) in enumerate(kept):
        if len(found):
            items[row, -len(found) :] = found
            times[row, :-1] = at_s[0]
            times[row, -len(found) - 1 : -1] = at_s
            times[row, -1] = at_s[-1]
    if asked_at_s is not None:
        times[:, -1] = np.maximum(asked_at_s, times[:, -2])
    return items, times


def _known(history: History, length: int, size: int) -> tuple[Ints, Times]:
    is_known = (history.items > 0) & (history.items < size)
    return history.items[is_known][-length:], history.at_s[is_known][-length:]


def _columns(history: History) -> tuple[npt.NDArray[Any], ...]:
    return history.items, history.values, history.at_s, history.context
