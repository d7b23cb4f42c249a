"""From a trained sequence network to ONNX, and the proof that both say the same.

Belongs here: the graph's axes, the check against torch, smaller weights. Does not belong here: the graph (net_graph),
latency under load (benchmarks/encode.py).

Inputs are those of training.bundle_format with both batch and length free; the outputs are ``scores`` and ``viewer``. A
transformer is not additive in its history, so there are no exact contributions in the graph: SequenceScorer.moved measures
them where they are asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nexus.errors import Category, NexusError
from training.bundle_format import INPUTS
from training.dataset import SECONDS_PER_DAY, Dataset, Floats, History
from training.export import OPSET, Exported, Inputs, latency_ms, session
from training.sequence.scorer import SequenceScorer, aligned

if TYPE_CHECKING:
    from training.sequence.net_graph import Ranker

OUTPUTS: tuple[str, ...] = ("scores", "viewer")
TOLERANCE = 1e-3
"""Scores are cosines over a temperature, some tens large: this is a few steps of float32."""
SHORTEST = 2


def export(scorer: SequenceScorer, dataset: Dataset, path: Path, *, seed: int = 0) -> Exported:
    """Write the ONNX file and check it against torch on random, real, short and empty histories.

    Raises:
        NexusError: category ``internal`` when the two disagree by more than the tolerance.
    """
    import torch

    from training.sequence.net_graph import Ranker

    graph = Ranker(scorer.net).eval()
    features = len(dataset.context_features)
    example = random_inputs(scorer, features, 2, scorer.history_length, seed)
    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    length = torch.export.Dim("length", min=SHORTEST, max=scorer.history_length)
    axes = {name: {0: batch} if name == "context" else {0: batch, 1: length} for name in INPUTS}
    _write(graph, example, tuple(axes[name] for name in INPUTS), path)
    checks = [
        random_inputs(scorer, features, 3, SHORTEST, seed + 1),
        real_inputs(scorer, dataset.histories[:4], features),
        real_inputs(scorer, [dataset.histories[0].until(1), dataset.histories[0].until(0)], features),
    ]
    worst = max(_difference(graph, path, inputs) for inputs in checks)
    if not worst <= TOLERANCE:
        raise NexusError(
            "the exported model does not agree with torch",
            category=Category.INTERNAL,
            field="max_abs_difference",
            value=worst,
            remedy="this is a bug in the export: keep the run's files and report it",
        )
    taken = latency_ms(path, real_inputs(scorer, dataset.histories[:1], features), ("scores",))
    return Exported(path, worst, taken, contributions_ms=0.0, size_bytes=path.stat().st_size)


def _write(graph: Ranker, example: Inputs, axes: tuple[dict[int, Any], ...], path: Path) -> None:
    import onnx
    import torch

    program = torch.onnx.export(
        graph,
        tuple(torch.from_numpy(example[name]) for name in INPUTS),
        dynamo=True,
        dynamic_shapes=axes,
        input_names=list(INPUTS),
        output_names=list(OUTPUTS),
        opset_version=OPSET,
        external_data=False,
        verbose=False,
    )
    assert program is not None  # noqa: S101 (dynamo=True always returns one)
    onnx.save_model(program.model_proto, str(path))


def int8(path: Path, to: Path) -> Path:
    """The same graph with weights of matrix products in 8 bits, activations rounded as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(path, to, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"])
    return to


def random_inputs(scorer: SequenceScorer, features: int, batch: int, length: int, seed: int) -> Inputs:
    """Inputs with padding of any length at the left."""
    random = np.random.default_rng(seed)
    items = random.integers(1, max(scorer.size, 2), (batch, length))
    items[np.arange(length)[None] < random.integers(0, length, batch)[:, None]] = 0
    return {
        "items": items,
        "values": random.random((batch, length), dtype=np.float32),
        "ages_days": np.sort(random.random((batch, length), dtype=np.float32) * 1000)[:, ::-1].copy(),
        "context": random.random((batch, features), dtype=np.float32),
    }


def real_inputs(scorer: SequenceScorer, histories: tuple[History, ...] | list[History], features: int) -> Inputs:
    """Inputs of real viewers, asked for at the time of their newest event."""
    items, times = aligned(histories, scorer.history_length, scorer.size, None)
    if items.shape[1] < SHORTEST:
        items, times = np.pad(items, ((0, 0), (1, 0))), np.pad(times, ((0, 0), (1, 0)))
    ages: Floats = ((times[:, -1:] - times[:, :-1]) / SECONDS_PER_DAY).astype(np.float32)
    return {
        "items": items,
        "values": np.zeros(items.shape, np.float32),
        "ages_days": ages,
        "context": np.zeros((len(items), features), np.float32),
    }


def _difference(graph: Ranker, path: Path, inputs: Inputs) -> float:
    import torch

    got = session(path).run(list(OUTPUTS), inputs)
    with torch.no_grad():
        wanted = graph(*(torch.from_numpy(inputs[name]) for name in INPUTS))
    return max(float(np.abs(a[:, 1:] - b.numpy()[:, 1:]).max(initial=0.0)) for a, b in zip(got, wanted, strict=True))
