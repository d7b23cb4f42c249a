"""What only contributions need is computed only when a title is asked about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from training.export import session
from training.models.lazily import when_asked

pytestmark = pytest.mark.unit

ITEMS, LENGTH = np.array([[0, 2, 5]]), 3
FAR = 99


def model(*, shares_all: bool = False) -> ModelProto:
    """Row ``r`` of a table is ``10 r + column``; scores are sums over rows; contributions fail for a title that is not in it."""
    table = (10.0 * np.arange(6)[:, None] + np.arange(6)).astype(np.float32)
    named = {"table": table, "axis": np.array([1]), "rows": np.array([1, LENGTH, 1])}
    nodes = [
        helper.make_node("Gather", ["table", "items"], ["whole"]),
        helper.make_node("ReduceSum", ["whole", "axis"], ["scores"], keepdims=0),
    ]
    if shares_all:
        nodes[0].output[0] = nodes[1].input[0] = "contributions"
    else:
        nodes += [
            helper.make_node("Unsqueeze", ["titles", "axis"], ["columns"]),
            helper.make_node("Expand", ["columns", "rows"], ["everywhere"]),
            helper.make_node("GatherElements", ["whole", "everywhere"], ["contributions"], axis=2),
            helper.make_node("Neg", ["contributions"], ["nobody_needs_it"]),
        ]
    integers = [helper.make_tensor_value_info(name, TensorProto.INT64, ["B", name]) for name in ("items", "titles")]
    shapes = {"scores": ["B", 6], "contributions": ["B", LENGTH, "K"]}
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    weights = [onnx.numpy_helper.from_array(array, name) for name, array in named.items()]
    graph = helper.make_graph(nodes, "tiny", integers, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def run(made: ModelProto, path: Path, titles: list[int]) -> list[np.ndarray]:
    onnx.checker.check_model(made)
    onnx.save_model(made, str(path))
    found: list[np.ndarray] = session(path).run(
        ["scores", "contributions"], {"items": ITEMS, "titles": np.array([titles])}
    )
    return found


@pytest.mark.parametrize("titles", [[4], [0, 3], [2, 2, 1]], ids=str)
def test_when_asked__titles__gives_what_the_model_gave(titles: list[int], tmp_path: Path) -> None:
    wanted = run(model(), tmp_path / "before.onnx", titles)
    for before, after in zip(wanted, run(when_asked(model()), tmp_path / "after.onnx", titles), strict=True):
        assert np.array_equal(before, after)


@pytest.mark.parametrize("count", [1, 4])
def test_when_asked__nobody_asked__scores_stay_and_contributions_are_zeros(count: int, tmp_path: Path) -> None:
    scores, nothing = run(when_asked(model()), tmp_path / "m.onnx", [0] * count)
    assert np.array_equal(scores, run(model(), tmp_path / "before.onnx", [1])[0])
    assert nothing.shape == (1, LENGTH, count)
    assert not nothing.any()


def test_when_asked__nobody_asked__the_branch_is_not_computed(tmp_path: Path) -> None:
    made = when_asked(model())
    assert [node.op_type for node in made.graph.node].count("GatherElements") == 0
    run(made, tmp_path / "m.onnx", [-FAR])  # not above 0, so nobody; the model itself fails on it
    for broken, titles in ((model(), [-FAR]), (made, [FAR])):
        with pytest.raises(Exception, match="Out of range"):
            run(broken, tmp_path / "m.onnx", titles)


def test_when_asked__scores_need_everything__changes_nothing() -> None:
    made = model(shares_all=True)
    assert when_asked(made) == model(shares_all=True)
