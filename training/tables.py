"""Tables of figures as markdown, for the asset graph.

Belongs here: what stands in which column. Does not belong here: pictures (training.plots), how anything is measured
(training.evaluation, training.metrics).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from training.evaluation import ndcg

if TYPE_CHECKING:
    from training.sweep import Done, Sweep


COLUMNS = {
    "ndcg_10": "NDCG@10",
    "hr_10": "HR@10",
    "hr_10_debiased": "HR@10, debiased",
    "coverage_10": "coverage",
    "popularity_10": "popularity bias",
    "validation_ndcg_10": "validation NDCG@10",
}
LENGTHS = (0, 25, 50, 100, 200)
"""Where buckets of history lengths begin."""


def by_candidate(figures: Mapping[str, Mapping[str, float]], winner: str, parts: Sequence[str] = ()) -> str:
    """Markdown: one row per candidate, best first; the winner is in bold, parts of a hybrid are marked.

    Args:
        figures: By candidate, by the registry's names; a figure that a candidate lacks is a dash.
        winner: Which one is the model.
        parts: Candidates that are parts of it.
    """
    lines = ["| candidate | " + " | ".join(COLUMNS.values()) + " |", "|" + "---|" * (len(COLUMNS) + 1)]
    for name, found in sorted(figures.items(), key=lambda item: -item[1]["ndcg_10"]):
        shown = f"**{name}**" if name == winner else f"{name} (part)" if name in parts else name
        cells = [f"{found[key]:.4f}" if key in found else "-" for key in COLUMNS]
        lines.append(f"| {shown} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def by_length(
    ranks: Mapping[str, Sequence[int]], lengths: Sequence[int]
) -> dict[str, tuple[int, dict[str, tuple[float, float]]]]:
    """NDCG@10 and HR@10 of each candidate by how many titles its viewers had met.

    Args:
        ranks: By candidate, of the same viewers.
        lengths: Titles that each of these viewers had met, ``[n]``.

    Returns:
        By bucket (as ``25-49``), in order, without empty ones: viewers, and (NDCG@10, HR@10) by candidate.
    """
    had, found = np.asarray(lengths), {}
    for first, after in zip(LENGTHS, (*LENGTHS[1:], None), strict=True):
        rows = (had >= first) & (had < after if after is not None else True)
        if rows.any():
            name = f"{first}+" if after is None else f"{first}-{after - 1}"
            kept = {key: np.asarray(value)[rows] for key, value in ranks.items()}
            figures = {key: (float(ndcg(at, 10).mean()), float(np.mean(at <= 10))) for key, at in kept.items()}
            found[name] = int(rows.sum()), figures
    return found


def of_lengths(found: Mapping[str, tuple[int, Mapping[str, tuple[float, float]]]]) -> str:
    """Markdown of :func:`by_length`: NDCG@10 / HR@10, a column per bucket."""
    heads = [f"{bucket} titles ({viewers} viewers)" for bucket, (viewers, _) in found.items()]
    lines = ["| NDCG@10 / HR@10 | " + " | ".join(heads) + " |", "|" + "---|" * (len(heads) + 1)]
    for name in next(iter(found.values()))[1] if found else ():
        cells = [f"{figures[name][0]:.4f} / {figures[name][1]:.4f}" for _, figures in found.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def of_sweep(found: Sweep) -> str:
    """Markdown: mean and spread of each variant over its seeds, best on validation titles first."""
    by_variant: dict[str, list[Done]] = {}
    for one in found.done:
        by_variant.setdefault(one.variant, []).append(one)
    head = ("variant", "seeds", "validation NDCG@10", "NDCG@10", "HR@10", "best floor NDCG@10", "seconds")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    ordered = sorted(by_variant.items(), key=lambda item: -_mean(item[1], "validation_ndcg_10"))
    for variant, runs in ordered:
        shown = [_spread(runs, name) for name in ("validation_ndcg_10", "ndcg_10", "hr_10", "best_floor_ndcg_10")]
        seconds = f"{_mean(runs, 'seconds'):.0f}"
        lines.append("| " + " | ".join([variant, str(len(runs)), *shown, seconds]) + " |")
    return "\n".join([*lines, "", f"mean and standard deviation over seeds; {found.protocol}", "", found.words])


def _mean(runs: Sequence[Done], name: str) -> float:
    return sum(one.metrics[name] for one in runs) / len(runs)


def _spread(runs: Sequence[Done], name: str) -> str:
    mean = _mean(runs, name)
    if len(runs) < 2:
        return f"{mean:.4f}"
    variance = sum((one.metrics[name] - mean) ** 2 for one in runs) / (len(runs) - 1)
    return f"{mean:.4f} ± {variance**0.5:.4f}"
