"""From a trained sequence network to ONNX, and the proof that both say the same.

Belongs here: the graph's axes, the check against torch, smaller weights. Does not belong here: the graph (net_graph),
latency under load (benchmarks/encode.py).

Inputs and outputs are those of training.bundle_format with both batch and length free. A transformer is not additive in its
history, so its contributions are those of attention knockout (net_reasons); they cost nothing when no title is asked about
(training.models.lazily).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nexus.errors import Category, NexusError
from training.bundle_format import INPUTS, OUTPUTS
from training.dataset import SECONDS_PER_DAY, Dataset, Floats, History
from training.export import ASKED, OPSET, Exported, Inputs, latency_ms, session
from training.sequence.scorer import SequenceScorer, aligned

if TYPE_CHECKING:
    from training.sequence.net_graph import Ranker

TOLERANCE = 1e-3
"""Scores are cosines over a temperature, some tens large: this is a few steps of float32."""
SHORTEST = 2
LARGE = 1024
"""Weights with fewer numbers than this are not worth making smaller."""


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
    asked = torch.export.Dim("asked", min=1, max=1 << 16)
    axes: dict[str, dict[int, Any]] = {name: {0: batch, 1: length} for name in INPUTS}
    axes |= {"context": {0: batch}, "titles": {0: batch, 1: asked}}
    _write(graph, example, tuple(axes[name] for name in INPUTS), path)
    checks = [
        random_inputs(scorer, features, 3, SHORTEST, seed + 1),
        random_inputs(scorer, features, 2, scorer.history_length, seed + 2),
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
    one = real_inputs(scorer, dataset.histories[:1], features)
    return Exported(
        path,
        worst,
        scores_ms=latency_ms(path, one, ("scores",)),
        contributions_ms=latency_ms(path, one, OUTPUTS),
        size_bytes=path.stat().st_size,
    )


def _write(graph: Ranker, example: Inputs, axes: tuple[dict[int, Any], ...], path: Path) -> None:
    import onnx
    import torch

    from training.models.lazily import when_asked

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
    onnx.save_model(when_asked(program.model_proto), str(path))


def int8(path: Path, to: Path) -> Path:
    """The same graph with weights of matrix products in 8 bits, activations rounded as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(path, to, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"])
    return to


def float16(path: Path, to: Path) -> Path:
    """The same graph with its larger weights stored in 16 bits; they become 32 bits again when the file is loaded."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_model(str(path))
    weights = model.graph.initializer
    for number, one in enumerate(list(weights)):
        if one.data_type == TensorProto.FLOAT and np.prod(one.dims) >= LARGE:
            values, name, stored = numpy_helper.to_array(one), one.name, f"{one.name}.float16"
            weights[number].CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
            model.graph.node.insert(0, helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    onnx.save_model(model, str(to))
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
        "titles": random.integers(0, max(scorer.size, 2), (batch, ASKED)),
    }


def real_inputs(scorer: SequenceScorer, histories: tuple[History, ...] | list[History], features: int) -> Inputs:
    """Inputs of real viewers, asked for at the time of their newest event; the titles asked about are their newest."""
    items, times = aligned(histories, scorer.history_length, scorer.size, None)
    if items.shape[1] < SHORTEST:
        items, times = np.pad(items, ((0, 0), (1, 0))), np.pad(times, ((0, 0), (1, 0)))
    ages: Floats = ((times[:, -1:] - times[:, :-1]) / SECONDS_PER_DAY).astype(np.float32)
    return {
        "items": items,
        "values": np.zeros(items.shape, np.float32),
        "ages_days": ages,
        "context": np.zeros((len(items), features), np.float32),
        "titles": items[:, -ASKED:].copy(),
    }


def _difference(graph: Ranker, path: Path, inputs: Inputs) -> float:
    import torch

    got = session(path).run(list(OUTPUTS), inputs)
    with torch.no_grad():
        wanted = graph(*(torch.from_numpy(inputs[name]) for name in INPUTS))
    scores, parts = (np.abs(a - b.numpy()) for a, b in zip(got, wanted, strict=True))
    return max(float(scores[:, 1:].max(initial=0.0)), float(parts.max()))
