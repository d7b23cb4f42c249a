"""What each training step looks at: windows of histories, grouped by length, from one packed array on the device.

Belongs here: packing, cutting long histories into windows, which windows make a step, gathering them.
Does not belong here: the loss, who trains (loop).

All histories lie one behind the other, each led by a 0 (the beginning). The plan of an epoch is a function of (seed, epoch)
alone, so a resumed training sees the same steps. A history longer than the window is cut at a random place, anew in each
epoch, so that no event is left out and none is always without its past. Windows of like length share a step: what is
computed on padding stays at a few percent. Between plan and loss there is no Python that runs over rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training.dataset import History, Ints

if TYPE_CHECKING:
    from torch import Tensor

GRAIN = 8
"""Windows are padded to a multiple of this: few shapes, so a library's kernels are made once and found again."""
JITTER = 0.05
"""Lengths are changed by up to this share before sorting, so that the same windows do not always meet."""


@dataclass(frozen=True, slots=True)
class Packed:
    """All histories in one array.

    Attributes:
        items: ``[E]``, a 0 before each history's first title.
        times: Seconds ``[E]``; the beginning has the time of the first title.
        starts: Where each history begins (its 0).
        counts: Events to learn from in each: as many as it has titles.
    """

    items: Ints
    times: npt.NDArray[np.float64]
    starts: Ints
    counts: Ints

    @property
    def events(self) -> int:
        """Targets of one epoch."""
        return int(self.counts.sum())

    def popularity(self, size: int) -> npt.NDArray[np.float32]:
        """Share of each title in all events, ``[size]``."""
        counts = np.bincount(self.items[self.items > 0], minlength=size)
        return (counts / max(int(counts.sum()), 1)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's windows as tensors on the device.

    Attributes:
        items: ``[B, T]``, padded at the right with 0.
        targets: ``[B, T]``, the title after each place; 0 where there is none.
        times: Seconds ``[B, T+1]``, or None.
    """

    items: Tensor
    targets: Tensor
    times: Tensor | None


def pack(histories: Sequence[History]) -> Packed:
    """Histories without a title are left out."""
    kept = [history for history in histories if len(history)]
    counts = np.array([len(history) for history in kept], dtype=np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts + 1)])[:-1]
    beginning = np.zeros(1, np.int64)
    items = [part for history in kept for part in (beginning, history.items)]
    times = [part for history in kept for part in (history.at_s[:1], history.at_s)]
    return Packed(
        np.concatenate([*items, np.zeros(0, np.int64)]).astype(np.int64),
        np.concatenate([*times, np.zeros(0)]).astype(np.float64),
        starts[: len(kept)].astype(np.int64),
        counts,
    )


def windows(packed: Packed, length: int, random: np.random.Generator) -> tuple[Ints, Ints]:
    """Start (in the packed array) and number of events of each window of one epoch; together they cover every event once.

    Histories of at most ``length`` events are one window; longer ones are cut at a random phase.
    """
    counts = packed.counts
    phase = np.where(counts > length, random.integers(1, length + 1, len(counts)), length)
    pieces = 1 + np.maximum(-(-(counts - phase) // length), 0)
    owner = np.repeat(np.arange(len(counts)), pieces)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    first = np.where(number == 0, 0, phase[owner] + (number - 1) * length)
    last = np.minimum(phase[owner] + number * length, counts[owner])
    return packed.starts[owner] + first, last - first


def plan(packed: Packed, *, length: int, batch_tokens: int, seed: int, epoch: int) -> list[tuple[Ints, Ints]]:
    """The steps of an epoch: starts and lengths of their windows."""
    random = np.random.default_rng((seed, epoch))
    starts, sizes = windows(packed, length, random)
    if not len(starts):
        return []
    order = np.argsort(sizes * (1.0 + JITTER * random.random(len(sizes))), kind="stable")
    starts, sizes = starts[order], sizes[order]
    steps, begin = [], 0
    while begin < len(starts):
        # Sorted only nearly: a step's longest window may lie before its end, so the count is corrected once.
        rows = max(1, batch_tokens // padded_length(sizes[begin]))
        rows = max(1, batch_tokens // padded_length(sizes[begin : begin + rows].max()))
        steps.append((starts[begin : begin + rows], sizes[begin : begin + rows]))
        begin += rows
    return [steps[index] for index in random.permutation(len(steps))]


def padded_length(size: int) -> int:
    """What a window of this size is padded to."""
    return -(-int(size) // GRAIN) * GRAIN


class Feeder:
    """The packed arrays on a device, and steps gathered from them."""

    def __init__(self, packed: Packed, device: str, *, length: int, has_time: bool) -> None:
        import torch

        self.length = length
        self.items = torch.from_numpy(packed.items).to(device)
        self.times = torch.from_numpy(packed.times).to(device) if has_time else None
        self.device = device

    def batch(self, step: tuple[Ints, Ints], *, share: int = 0, of: int = 1) -> Batch:
        """The windows of a step; of several processes each takes its share of the rows."""
        import torch

        starts, sizes = (torch.from_numpy(part[share::of]).to(self.device) for part in step)
        longest = min(padded_length(step[1].max()), self.length)
        offsets = torch.arange(longest + 1, device=self.device)
        index = starts[:, None] + torch.minimum(offsets[None], sizes[:, None])
        rows = self.items[index]
        is_event = offsets[None, :-1] < sizes[:, None]
        return Batch(
            items=torch.where(is_event, rows[:, :-1], 0),
            targets=torch.where(is_event, rows[:, 1:], 0),
            times=None if self.times is None else self.times[index],
        )
