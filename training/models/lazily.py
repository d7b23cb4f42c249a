"""Contributions that cost nothing when nobody asks for them: a rewriting of exported graphs.

Belongs here: moving what only ``contributions`` needs into an ``If`` on the input ``titles``. Does not belong here: the export.

ONNX Runtime computes every output of a graph, whichever are fetched (``only_execute_path_to_fetches`` is read by its training
builds alone: github.com/microsoft/onnxruntime/issues/16013), so the graph itself must say what may be left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnx import ModelProto, NodeProto, TensorProto, helper

ASKED_OF, OUTPUT = "titles", "contributions"
INSIDE = "contributions_of_asked"


def when_asked(model: ModelProto) -> ModelProto:
    """The same model; with ``titles`` all 0 it gives its zeros without computing them.

    Args:
        model: With the signature of training.bundle_format, nodes in topological order. It is changed.
    """
    nodes = list(model.graph.node)
    others = [output.name for output in model.graph.output if output.name != OUTPUT]
    always, asked = set[int]().union(*(_needed(nodes, name) for name in others)), _needed(nodes, OUTPUT)
    moved = [node for place, node in enumerate(nodes) if place in asked - always]
    kept = [node for place, node in enumerate(nodes) if place in always]
    if not moved:
        return model
    inside = {name for node in moved for name in node.output}
    for node in moved:
        for names in (node.input, node.output):
            names[:] = [INSIDE if name == OUTPUT else name for name in names]
    described = [one for one in model.graph.value_info if one.name not in inside]
    del model.graph.value_info[:], model.graph.node[:]
    model.graph.value_info.extend(described)
    model.graph.node.extend([*kept, *_choice(moved)])
    return model


def _needed(nodes: Sequence[NodeProto], output: str) -> set[int]:
    """Places of the nodes that an output depends on."""
    names, found = {output}, set()
    for place in range(len(nodes) - 1, -1, -1):
        if names & set(nodes[place].output):
            found.add(place)
            names |= _taken(nodes[place])
    return found


def _taken(node: NodeProto) -> set[str]:
    """What a node takes, inside its branches, too."""
    branches = [part for attribute in node.attribute for part in (attribute.g, *attribute.graphs)]
    return set(node.input).union(*(_taken(one) for branch in branches for one in branch.node))


def _choice(moved: Sequence[NodeProto]) -> list[NodeProto]:
    unknown = helper.make_tensor_value_info
    given = helper.make_graph(moved, "asked", [], [unknown(INSIDE, TensorProto.FLOAT, ["b", "l", "k"])])
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
    nothing = helper.make_graph(
        [
            helper.make_node("Shape", ["items"], ["nobody_rows"]),
            helper.make_node("Shape", [ASKED_OF], ["nobody_titles"], start=1),
            helper.make_node("Concat", ["nobody_rows", "nobody_titles"], ["nobody_shape"], axis=0),
            helper.make_node("ConstantOfShape", ["nobody_shape"], ["nobody"], value=zero),
        ],
        "nobody",
        [],
        [unknown("nobody", TensorProto.FLOAT, ["b", "l", "k"])],
    )
    limit = helper.make_tensor("limit", TensorProto.INT64, [], [0])
    return [
        helper.make_node("ReduceMax", [ASKED_OF], ["asked_most"], keepdims=0),
        helper.make_node("Constant", [], ["asked_limit"], value=limit),
        helper.make_node("Greater", ["asked_most", "asked_limit"], ["is_asked"]),
        helper.make_node("If", ["is_asked"], [OUTPUT], then_branch=given, else_branch=nothing),
    ]
