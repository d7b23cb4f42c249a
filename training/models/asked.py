"""Contributions for the few titles that are asked for, from rows of packed tables.

Belongs here: the operation on tensors, for every graph over packed neighbour tables. Does not belong here: the graphs.
"""

from __future__ import annotations

import torch
from torch import Tensor


def of_titles(columns: Tensor, added: Tensor, titles: Tensor, size: int) -> Tensor:
    """What each entry's row adds to each asked title; the same numbers as scattering every row into the catalogue.

    The asked titles get places ``1 .. K``, and rows are scattered into these ``K + 1`` places, so the work does not grow with
    ``N * L``. Place 0 takes what was not asked for. A title that is asked for twice has one place.

    Args:
        columns: int64 ``[B, L, W]``, titles of each entry's row; 0 = nothing.
        added: float32 ``[B, L, W]``, what the row adds to each of them.
        titles: int64 ``[B, K]``, titles asked for; 0 = padding.
        size: ``N + 1``.

    Returns:
        float32 ``[B, L, K]``; 0 for padding.
    """
    batch, length, width = columns.shape
    count = titles.shape[1]
    numbered = torch.arange(1, count + 1, dtype=torch.int64).expand(batch, count)
    places = torch.zeros(batch, size, dtype=torch.int64).scatter_reduce(1, titles, numbered, "amax")
    into = places.gather(1, columns.reshape(batch, length * width)).reshape(batch, length, width)
    summed = torch.zeros(batch, length, count + 1).scatter_add(2, into, added)
    own = places.gather(1, titles)[:, None].expand(batch, length, count)
    return summed.gather(2, own) * (titles > 0)[:, None]
