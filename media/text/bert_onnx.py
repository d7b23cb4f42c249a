"""A BERT encoder as an ONNX graph, written from its weights: no torch, no transformers.

Belongs here: the graph of all-MiniLM-L6-v2 (6 layers, 12 heads, width 384) with mean pooling and L2 normalisation
inside; input ``input_ids`` and ``attention_mask`` int64 ``[B, T]``, output ``embedding`` float32 ``[B, 384]``.
Shapes in names: B texts, T tokens, H heads, D width of a head, E width.
Does not belong here: files and caches (media.text.cache), running it (media.text.embedder).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

OPSET = 20
LAYERS = 6
HEADS = 12
WIDTH = 384
HEAD_WIDTH = WIDTH // HEADS
EPSILON = 1e-12
MASKED = -1e4
"""Added to a score where there is no token; exp(-1e4) is 0 in float32."""

Weights = Mapping[str, "np.ndarray[Any, Any]"]


class _Graph:
    """Collects nodes and constants under fresh names."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def constant(self, name: str, value: Any) -> str:
        import onnx.numpy_helper

        self.constants[name] = onnx.numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def add(self, operator: str, inputs: Sequence[str], name: str, outputs: int = 1, **attributes: Any) -> str:
        import onnx.helper

        results = [name] if outputs == 1 else [f"{name}_{index}" for index in range(outputs)]
        self.nodes.append(onnx.helper.make_node(operator, list(inputs), results, name=name, **attributes))
        return name

    def dense(self, x: str, weight: np.ndarray[Any, Any], bias: np.ndarray[Any, Any], name: str) -> str:
        product = self.add("MatMul", [x, self.constant(f"{name}_weight", weight.T)], f"{name}_product")
        return self.add("Add", [product, self.constant(f"{name}_bias", bias)], name)

    def norm(self, x: str, weights: Weights, prefix: str, name: str) -> str:
        scale = self.constant(f"{name}_gain", weights[f"{prefix}.weight"])
        bias = self.constant(f"{name}_shift", weights[f"{prefix}.bias"])
        return self.add("LayerNormalization", [x, scale, bias], name, axis=-1, epsilon=EPSILON)


def build(weights: Weights) -> onnx.ModelProto:
    """The whole graph.

    Args:
        weights: Tensors by their names in the safetensors file.
    """
    import onnx
    import onnx.helper as h

    graph = _Graph()
    float_mask = graph.add("Cast", ["attention_mask"], "mask_float", to=onnx.TensorProto.FLOAT)
    state = _embeddings(graph, weights)
    bias = _mask_bias(graph, float_mask)
    for layer in range(LAYERS):
        state = _layer(graph, weights, state, bias, layer)
    _pool(graph, state, float_mask)
    tokens = ["batch", "tokens"]
    made = h.make_graph(
        graph.nodes,
        "all-MiniLM-L6-v2",
        [h.make_tensor_value_info(name, onnx.TensorProto.INT64, tokens) for name in ("input_ids", "attention_mask")],
        [h.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, ["batch", WIDTH])],
        list(graph.constants.values()),
    )
    model = h.make_model(made, opset_imports=[h.make_opsetid("", OPSET)], ir_version=10, producer_name="nexus")
    onnx.checker.check_model(model)
    return model


def _embeddings(graph: _Graph, weights: Weights) -> str:
    """Word + position + token type (always 0, so folded into the positions), then layer norm."""
    words = graph.constant("words", weights["embeddings.word_embeddings.weight"])
    folded = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    positions = graph.constant("positions", folded)
    word = graph.add("Gather", [words, "input_ids"], "word", axis=0)
    shape = graph.add("Shape", ["input_ids"], "token_count", start=1, end=2)
    zero, zero_axis = (
        graph.constant("zero", np.array([0], np.int64)),
        graph.constant("first_axis", np.array([0], np.int64)),
    )
    position = graph.add("Slice", [positions, zero, shape, zero_axis], "position")
    return graph.norm(graph.add("Add", [word, position], "embedded"), weights, "embeddings.LayerNorm", "embedding_norm")


def _mask_bias(graph: _Graph, float_mask: str) -> str:
    """``[B, 1, 1, T]``: 0 for a token, a large negative number for padding."""
    one = graph.constant("one", np.array(1.0, np.float32))
    absent = graph.add("Sub", [one, float_mask], "absent")
    scaled = graph.add("Mul", [absent, graph.constant("masked", np.array(MASKED, np.float32))], "absent_scaled")
    return graph.add("Unsqueeze", [scaled, graph.constant("axes_1_2", np.array([1, 2], np.int64))], "mask_bias")


def _layer(graph: _Graph, weights: Weights, state: str, bias: str, layer: int) -> str:
    prefix, name = f"encoder.layer.{layer}", f"layer_{layer}"
    attended = _attention(graph, weights, state, bias, layer)
    projected = graph.dense(attended, *_pair(weights, f"{prefix}.attention.output.dense"), f"{name}_projected")
    middle = graph.add("Add", [projected, state], f"{name}_attended")
    middle = graph.norm(middle, weights, f"{prefix}.attention.output.LayerNorm", f"{name}_attended_norm")
    hidden = graph.dense(middle, *_pair(weights, f"{prefix}.intermediate.dense"), f"{name}_hidden")
    active = graph.add("Gelu", [hidden], f"{name}_gelu", approximate="none")
    out = graph.dense(active, *_pair(weights, f"{prefix}.output.dense"), f"{name}_out")
    out = graph.add("Add", [out, middle], f"{name}_sum")
    return graph.norm(out, weights, f"{prefix}.output.LayerNorm", f"{name}_norm")


def _attention(graph: _Graph, weights: Weights, state: str, bias: str, layer: int) -> str:
    """Self-attention; the three projections are one matrix product, the scale is folded into the query."""
    prefix, name = f"encoder.layer.{layer}.attention.self", f"layer_{layer}"
    scale = np.float32(HEAD_WIDTH**-0.5)
    pairs = [_pair(weights, f"{prefix}.{part}") for part in ("query", "key", "value")]
    factors = (scale, np.float32(1), np.float32(1))
    weight = np.concatenate([pair[0] * factor for pair, factor in zip(pairs, factors, strict=True)])
    bias_qkv = np.concatenate([pair[1] * factor for pair, factor in zip(pairs, factors, strict=True)])
    together = graph.dense(state, weight, bias_qkv, f"{name}_qkv")
    graph.add("Split", [together], f"{name}_part", outputs=3, axis=-1, num_outputs=3)
    heads_shape = graph.constant("heads_shape", np.array([0, 0, HEADS, HEAD_WIDTH], np.int64))
    heads = [graph.add("Reshape", [f"{name}_part_{index}", heads_shape], f"{name}_heads_{index}") for index in range(3)]
    query = graph.add("Transpose", [heads[0]], f"{name}_query", perm=[0, 2, 1, 3])
    key = graph.add("Transpose", [heads[1]], f"{name}_key", perm=[0, 2, 3, 1])
    value = graph.add("Transpose", [heads[2]], f"{name}_value", perm=[0, 2, 1, 3])
    scores = graph.add("Add", [graph.add("MatMul", [query, key], f"{name}_scores"), bias], f"{name}_masked")
    context = graph.add(
        "MatMul", [graph.add("Softmax", [scores], f"{name}_weights", axis=-1), value], f"{name}_context"
    )
    merged = graph.add("Transpose", [context], f"{name}_merged", perm=[0, 2, 1, 3])
    flat_shape = graph.constant("flat_shape", np.array([0, 0, WIDTH], np.int64))
    return graph.add("Reshape", [merged, flat_shape], f"{name}_flat")


def _pool(graph: _Graph, state: str, float_mask: str) -> None:
    """Mean over the tokens that are there, then unit length."""
    last = graph.constant("last_axis", np.array([2], np.int64))
    tokens_axis = graph.constant("tokens_axis", np.array([1], np.int64))
    mask = graph.add("Unsqueeze", [float_mask, last], "mask_column")
    total = graph.add("ReduceSum", [graph.add("Mul", [state, mask], "kept"), tokens_axis], "total", keepdims=0)
    count = graph.add("ReduceSum", [float_mask, tokens_axis], "count", keepdims=1)
    floor = graph.constant("count_floor", np.array(1e-9, np.float32))
    mean = graph.add("Div", [total, graph.add("Max", [count, floor], "count_positive")], "mean")
    length = graph.add("ReduceL2", [mean, tokens_axis], "length", keepdims=1)
    length_floor = graph.constant("length_floor", np.array(1e-12, np.float32))
    graph.add("Div", [mean, graph.add("Max", [length, length_floor], "length_positive")], "embedding")


def _pair(weights: Weights, name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]
