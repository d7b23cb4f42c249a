"""From the fitted hybrid to ONNX, and the proof that both say the same.

Belongs here: writing the file, the checks. Does not belong here: the graph (training.hybrid.graph), inputs and timing
(training.export).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nexus.errors import Category, NexusError
from training.bundle_format import INPUTS, OUTPUTS, PARTS
from training.dataset import Dataset
from training.export import Exported, Inputs, latency_ms, random_inputs, real_inputs, session, write_onnx

if TYPE_CHECKING:
    from training.hybrid.fitted import FittedHybrid
    from training.hybrid.graph import HybridGraph

TOLERANCE = 1e-4
"""Of the largest score: scores are standardised by sums over the whole catalogue, in float32."""
SERVED_TOLERANCE = 2e-2
"""The same against what was measured: the file keeps the mixture's tables in half precision, and a logarithm widens that."""


def export(hybrid: FittedHybrid, dataset: Dataset, path: Path, *, seed: int = 0) -> Exported:
    """Write the file and check it against the scorer and against torch on random, real, short and empty histories.

    Raises:
        NexusError: category ``internal`` when they disagree.
    """
    from training.hybrid.graph import HybridGraph

    graph, length = HybridGraph(hybrid).eval(), hybrid.history_length
    write_onnx(graph, random_inputs(dataset, 2, length, seed), path, list(hybrid.parts))
    whole = list(dataset.histories[:8])
    real = real_inputs(dataset, whole, length)
    checks = [random_inputs(dataset, 3, length, seed + 1), real]
    checks.append(real_inputs(dataset, [whole[0].until(1), whole[0].until(0)], length))
    worst = max(_difference(graph, path, inputs) for inputs in checks)
    scores = session(path).run(["scores"], real)[0]
    served = _relative(scores[:, 1:], hybrid.scores(whole, real["context"])[:, 1:])
    if not (worst <= TOLERANCE and served <= SERVED_TOLERANCE):
        raise NexusError(
            "the exported model does not agree with what was measured",
            category=Category.INTERNAL,
            field="max_abs_difference",
            value=f"{worst:.2e} from torch, {served:.2e} from what was measured",
            remedy="this is a bug in the export: keep the run's files and report it",
        )
    one = {name: array[:1] for name, array in real.items()}
    return Exported(
        path,
        worst,
        scores_ms=latency_ms(path, one, ("scores",)),
        contributions_ms=latency_ms(path, one, (*OUTPUTS, PARTS)),
        size_bytes=path.stat().st_size,
    )


def _difference(graph: HybridGraph, path: Path, inputs: Inputs) -> float:
    import torch

    got = session(path).run([*OUTPUTS, PARTS], inputs)
    with torch.no_grad():
        wanted = graph(*(torch.from_numpy(inputs[name]) for name in INPUTS))
    return max(_relative(a, b.numpy()) for a, b in zip(got, wanted, strict=True))


def _relative(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, of the largest value (1 at least)."""
    return float(np.abs(got - wanted).max() / max(1.0, float(np.abs(wanted).max())))
