"""From a fitted candidate to ONNX, and the proof that both say the same.

Belongs here: packing, export, the check against torch, latency. Does not belong here: bundles, MLflow.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from nexus.errors import Category, NexusError
from training.bundle_format import INPUTS, OUTPUTS, PART_NAMES, PARTS
from training.dataset import Dataset, History
from training.examples import padded
from training.floors import Fitted
from training.neighbours import Tables, cut, ease_table
from training.recommender import Neural

if TYPE_CHECKING:
    from torch.nn import Module

    from training.models.mixture import AdditiveScorer

OPSET = 18
TOLERANCE = 1e-4
FLOOR_WIDTH = 256
ASKED = 10
"""Titles whose contributions the checks and timings ask for."""
Inputs = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Exported:
    """An ONNX file and what was measured on it."""

    path: Path
    max_abs_difference: float
    scores_ms: float
    contributions_ms: float
    size_bytes: int

    def metrics(self) -> dict[str, float]:
        """The figures, for the run."""
        return {
            "onnx_max_abs_difference": self.max_abs_difference,
            "onnx_scores_ms": self.scores_ms,
            "onnx_contributions_ms": self.contributions_ms,
            "onnx_size_bytes": float(self.size_bytes),
        }


def scorer_of(fitted: Neural | Fitted, history_length: int) -> AdditiveScorer:
    """The graph of any candidate."""
    import torch

    from training.models.mixture import AdditiveScorer, RecencyWeigher

    if isinstance(fitted, Neural):
        width = int(max(np.diff(matrix.indptr).max(initial=1) for matrix in (_support(fitted.tables),)))
        index, near = fitted.tables.packed(width)
        static = float(fitted.weigher.static_weight().detach()) * fitted.tables.prior()
        weigher: Any = fitted.weigher
    else:
        table = _floor_table(fitted)
        index, near = Tables((table,), np.ones(len(fitted.source), np.float32), ("floor",)).packed(FLOOR_WIDTH)
        static = fitted.static
        weigher = RecencyWeigher(torch.from_numpy(fitted.source), history_length, fitted.last, fitted.decay)
    packed = torch.from_numpy(index.astype(np.int32)), torch.from_numpy(near).half()
    return AdditiveScorer(weigher, *packed, torch.from_numpy(np.asarray(static, dtype=np.float32))).eval()


def _support(tables: Tables) -> sp.csr_matrix:
    total = tables.matrices[0]
    for matrix in tables.matrices[1:]:
        total = total + matrix
    return total.tocsr()


def _floor_table(fitted: Fitted) -> sp.csr_matrix:
    if fitted.ease is not None:
        return ease_table(fitted.ease, FLOOR_WIDTH)
    if fitted.table is not None:
        return cut(fitted.table, FLOOR_WIDTH)
    size = len(fitted.source)
    return sp.csr_matrix((size, size), dtype=np.float32)


def export(scorer: AdditiveScorer, dataset: Dataset, path: Path, *, history_length: int, seed: int = 0) -> Exported:
    """Write the ONNX file and check it against torch on random, real, short and empty histories.

    Raises:
        NexusError: category ``internal`` when the two disagree by more than the tolerance.
    """
    write_onnx(scorer, random_inputs(dataset, 2, history_length, seed), path)
    worst = max(_difference(scorer, path, inputs) for inputs in _checks(dataset, history_length, seed))
    if not worst <= TOLERANCE:
        raise NexusError(
            "the exported model does not agree with torch",
            category=Category.INTERNAL,
            field="max_abs_difference",
            value=worst,
            remedy="this is a bug in the export: keep the run's files and report it",
        )
    real = real_inputs(dataset, dataset.histories[:1], history_length)
    return Exported(
        path,
        worst,
        scores_ms=latency_ms(path, real, ("scores",)),
        contributions_ms=latency_ms(path, real, OUTPUTS),
        size_bytes=path.stat().st_size,
    )


def write_onnx(graph: Module, example: Inputs, path: Path, parts: Sequence[str] = ()) -> None:
    """Write a graph with the inputs and outputs of training.bundle_format; the batch and the count of titles are free axes.

    Args:
        graph: Takes the inputs in their order.
        example: Two rows and two titles at least, else their axes would not be free.
        path: Where to write.
        parts: Names of the rows of its output ``parts``; none: it has no such output.
    """
    import onnx
    import torch

    from training.models.lazily import when_asked

    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    asked = torch.export.Dim("asked", min=1, max=1 << 16)
    program = torch.onnx.export(
        graph,
        tuple(torch.from_numpy(example[name]) for name in INPUTS),
        dynamo=True,
        dynamic_shapes=tuple({0: batch, 1: asked} if name == "titles" else {0: batch} for name in INPUTS),
        input_names=list(INPUTS),
        output_names=[*OUTPUTS, *([PARTS] if parts else [])],
        opset_version=OPSET,
        external_data=False,
        verbose=False,
    )
    assert program is not None  # noqa: S101 (dynamo=True always returns one)
    model = when_asked(program.model_proto)
    if parts:
        onnx.helper.set_model_props(model, {PART_NAMES: ",".join(parts)})
    onnx.save_model(model, str(path))


def random_inputs(dataset: Dataset, batch: int, history_length: int, seed: int) -> Inputs:
    """Inputs with duplicates and padding anywhere, among the asked titles, too."""
    random = np.random.default_rng(seed)
    shape = (batch, history_length)
    inputs: Inputs = {
        "items": random.integers(0, dataset.size, shape),
        "values": random.random(shape, dtype=np.float32),
        "ages_days": np.sort(random.random(shape, dtype=np.float32) * 1000)[:, ::-1].copy(),
        "context": random.random((batch, len(dataset.context_features)), dtype=np.float32),
        "titles": random.integers(0, dataset.size, (batch, ASKED)),
    }
    inputs["titles"][:, 1:4] = 0
    inputs["titles"][:, -1] = inputs["titles"][:, 0]
    return inputs


def real_inputs(dataset: Dataset, histories: Sequence[History], history_length: int) -> Inputs:
    """Inputs of real viewers; the titles asked for are their newest, which often lie near one another."""
    items, values, ages = padded(histories, history_length)
    features = len(dataset.context_features)
    context = np.stack([h.context[-1] if len(h) else np.zeros(features, np.float32) for h in histories])
    return {
        "items": items,
        "values": values,
        "ages_days": ages,
        "context": context.astype(np.float32),
        "titles": items[:, -ASKED:].copy(),
    }


def _checks(dataset: Dataset, length: int, seed: int) -> list[Inputs]:
    whole = list(dataset.histories[:8])
    edge = [whole[0].until(1), whole[0].until(0)]
    return [
        random_inputs(dataset, 3, length, seed + 1),
        *(real_inputs(dataset, part, length) for part in (whole, edge)),
    ]


def session(path: Path) -> Any:
    """An ONNX Runtime session on one thread."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # warnings are about its own rewriting of the graph, and nobody can act on them
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _difference(scorer: AdditiveScorer, path: Path, inputs: Inputs) -> float:
    import torch

    got = session(path).run(list(OUTPUTS), inputs)
    with torch.no_grad():
        wanted = scorer(*(torch.from_numpy(inputs[name]) for name in INPUTS))
    return max(float(np.abs(a - b.numpy()).max()) for a, b in zip(got, wanted, strict=True))


def latency_ms(path: Path, inputs: Inputs, outputs: Sequence[str], *, repeats: int = 30) -> float:
    """Median time of one request on one thread; without ``contributions`` among the outputs, no title is asked about."""
    running = session(path)
    if "contributions" not in outputs:
        inputs = inputs | {"titles": np.zeros_like(inputs["titles"])}
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        running.run(list(outputs), inputs)
        taken.append(time.perf_counter() - started)
    return float(np.median(taken) * 1e3)
