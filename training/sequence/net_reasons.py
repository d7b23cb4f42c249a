"""Reasons of the sequence network: the viewer's vector with every watched title, and without each of them.

Belongs here: both in about two passes. Does not belong here: the cut edges and attention over them (net_cuts, net_blocks),
scores and files (net_graph, export), leaving each title out for good (SequenceScorer.moved, one pass for each).

What a title contributes to a score is what the score loses when the newest place may not look at that title, in any block
(attention knockout; Geva et al. 2023). It differs from leaving the title out: what *earlier* places took from it stays in
them. The newest title is what the newest place is made of, so there the vector is that of the place before it, which never saw it,
asked at the same time: that one is exactly what is left when the title is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from training.sequence.net import SequenceNet, places
from training.sequence.net_cuts import cut_one_by_one


def newest_and_without(net: SequenceNet, items: Tensor, times: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Where the title after each history lies, with all titles and without each.

    What their scores differ by (``net.head.lost``) are the contributions of the watched titles.

    Args:
        net: Not training.
        items: ``[B, T]``, padded with 0 at the left.
        times: Seconds ``[B, T+1]``, as for :meth:`SequenceNet.newest`.

    Returns:
        ``viewer`` ``[B, d]``, what ``net.newest`` says, and ``without`` ``[B, T, d]``, equal to it where there is no title.
    """
    keep, place = places(items)
    newest = net.scene_of_newest(keep, times)
    cut = cut_one_by_one(keep, newest.gaps)
    stream = net.embedded(items, place)
    before = net.embedded(F.pad(items, (1, 0))[:, -2:-1], F.pad(place, (1, 0))[:, -2:-1])
    others = torch.cat([stream[:, -1:].expand(-1, items.shape[1] - 1, -1), before], dim=1)
    if len(net.blocks) > 1:
        scene = net.scene(items, keep, times)
        for block in net.blocks[:-1]:
            others = block.without(stream, others, cut)  # type: ignore[operator]
            stream = block(stream, scene)
    for block in net.blocks[-1:]:
        others = block.without(stream, others, cut)  # type: ignore[operator]
        stream = block(stream, newest, newest_only=True)
    viewer = net.finished(stream[:, -1])
    return viewer, torch.where((items > 0)[..., None], net.finished(others), viewer[:, None])
