"""A model that is damaged or foreign is refused by hash or by signature, and the old one stays."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nexus.errors import NexusError
from serving.metrics import Metrics
from serving.models.champion import Champion, Watcher, load_champion
from training import bundle
from training.bundle_format import (
    CONTENT_FILE,
    INPUTS,
    MANIFEST_FILE,
    MODEL_FILE,
    VOCABULARY_FILE,
    WHOLE_INPUTS,
    Manifest,
    bundle_folder,
    sha256,
    write_pointer,
)
from training.content.describer import Describer
from training.content.served import Projection, Served

pytestmark = pytest.mark.unit

LENGTH, TITLES, FEATURES = 4, 5, 2
TABLE = np.random.default_rng(2).uniform(0.1, 1.0, (20, 20)).astype(np.float32)
TABLE[0] = TABLE[:, 0] = 0.0


def graph(
    path: Path,
    *,
    titles: int = TITLES,
    length: int | str = LENGTH,
    features: int = FEATURES,
    items: str = "items",
    outputs: tuple[str, str] = ("scores", "contributions"),
    value: float = 1.0,
    is_whole: bool = False,
) -> None:
    """A model of the served signature, or of one that is off by what is named: each title adds its row of a table."""
    table = value * TABLE[: titles + 1, : titles + 1]
    kinds = {items: TensorProto.INT64, "values": TensorProto.FLOAT, "ages_days": TensorProto.FLOAT}
    takes = [helper.make_tensor_value_info(name, kind, ["batch", length]) for name, kind in kinds.items()]
    takes.append(helper.make_tensor_value_info("context", TensorProto.FLOAT, ["batch", features]))
    gives = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    arrays = {"table": table, "axis": np.array([1]), "rows": np.array([1, LENGTH, 1])}
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    whole = outputs[1] if is_whole else "whole"
    nodes = [
        helper.make_node("Gather", ["table", items], [whole]),
        helper.make_node("ReduceSum", [whole, "axis"], [outputs[0]], keepdims=0),
    ]
    if not is_whole:
        takes.append(helper.make_tensor_value_info("titles", TensorProto.INT64, ["batch", "asked"]))
        nodes.append(helper.make_node("Unsqueeze", ["titles", "axis"], ["columns"]))
        nodes.append(helper.make_node("Expand", ["columns", "rows"], ["everywhere"]))
        nodes.append(helper.make_node("GatherElements", [whole, "everywhere"], [outputs[1]], axis=2))
    model = helper.make_model(
        helper.make_graph(nodes, "additive", takes, gives, constants), opset_imports=[helper.make_opsetid("", 17)]
    )
    onnx.save_model(model, str(path))


def whole(path: Path) -> None:
    """A model of before: no ``titles``, contributions to every title."""
    graph(path, is_whole=True)


def content(titles: int = TITLES) -> Projection:
    """A projection of some titles of the vocabulary."""
    describer = Describer(("War",), 5.0, np.zeros(2), np.eye(2))
    rows = describer.rows([("War",)] * (titles - 1), [1990.0] * (titles - 1), np.ones((titles - 1, 2), np.float32))
    arrays = {
        "titles": np.arange(2, titles + 1),
        "left": rows.astype(np.float16),
        "scale": np.ones(titles - 1, np.float32),
        "own": rows[0],
        "popular": rows[0],
        "reference": rows.astype(np.float16),
        "mean": np.zeros(2, np.float32),
        "axes": np.eye(2, dtype=np.float32),
    }
    return Projection(Served(genres=("War",), years_width=5.0, last=3, decay=0.5), arrays)


def bundled(
    home: Path,
    version: str,
    make: Callable[[Path], None] = graph,
    inputs: tuple[str, ...] = INPUTS,
    projection: Projection | None = None,
) -> Path:
    """A bundle of five titles whose hashes are right, whatever the model in it is."""
    folder = bundle_folder(home, version)
    folder.mkdir(parents=True)
    make(folder / MODEL_FILE)
    if projection is not None:
        projection.write(folder / CONTENT_FILE)
    manifest = Manifest(
        version=version,
        model_name="recommender",
        created_at=datetime.now(UTC),
        data_hash="x",
        history_length=LENGTH,
        inputs=inputs,
        context_features=("activity", "tenure"),
        files={},
    )
    bundle.assemble(folder, manifest, ["", *(f"t{number}" for number in range(1, TITLES + 1))])
    return folder


def rewritten(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and its hash in the manifest, as somebody would who wants it to be read."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    manifest["files"][name] = sha256(folder / name)
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))
    os.utime(folder / MANIFEST_FILE, ns=(1, manifest["history_length"] + len(content)))


@pytest.fixture
def served() -> list[Champion]:
    return []


@pytest.fixture
def watcher(tmp_path: Path, served: list[Champion]) -> Watcher:
    async def taken(champion: Champion) -> None:
        served.append(champion)

    return Watcher(str(tmp_path), poll_s=1.0, metrics=Metrics(), on_change=taken)


@pytest.mark.parametrize(("make", "inputs"), [(graph, INPUTS), (whole, WHOLE_INPUTS)], ids=["asked", "of before"])
@pytest.mark.parametrize("titles", [[4], [3, 0, 3, 1], list(range(TITLES + 1))], ids=["one", "repeated", "all"])
def test_load_champion__either_signature__contributions_are_the_asked_columns(
    make: Callable[[Path], None], inputs: tuple[str, ...], titles: list[int], tmp_path: Path
) -> None:
    champion = load_champion(bundled(tmp_path, "1", make, inputs))
    asked = champion.ask([2, 3], [1.0, 0.5], [3.0, 1.0], [0.0, 0.0])
    by_definition = TABLE[[0, 0, 2, 3], : TITLES + 1]
    assert np.array_equal(champion.explained(asked, titles)[0], by_definition[:, titles])
    assert np.allclose(champion.scores(asked), by_definition.sum(axis=0))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


FOREIGN: dict[str, Callable[[Path], None]] = {
    "no ONNX at all": lambda path: _write(path, b"MZ" + b"\0" * 4096),
    "another input": lambda path: graph(path, items="tokens"),
    "another output": lambda path: graph(path, outputs=("logits", "attention")),
    "fewer titles": lambda path: graph(path, titles=TITLES - 2),
    "more titles": lambda path: graph(path, titles=TITLES + 1),
    "a longer history": lambda path: graph(path, length=LENGTH + 1),
    "other features": lambda path: graph(path, features=FEATURES + 3),
    "contributions to every title": whole,
    "no numbers": lambda path: graph(path, value=float("nan")),
}


@pytest.mark.parametrize("kind", FOREIGN)
async def test_watcher__foreign_model_with_the_right_hash__is_refused_once_and_the_old_one_stays(
    kind: str, tmp_path: Path, watcher: Watcher, served: list[Champion]
) -> None:
    bundled(tmp_path, "1")
    write_pointer(tmp_path, "1")
    assert await watcher.look()
    folder = bundled(tmp_path, "2", FOREIGN[kind])
    write_pointer(tmp_path, "2")
    assert not await watcher.look()
    assert not await watcher.look()
    assert [champion.version for champion in served] == ["1"]
    assert served[0].scores(served[0].ask([1], [1.0], [0.0], [0.0, 0.0]))[1] > 0
    with pytest.raises(NexusError, match="the published model is damaged") as refused:
        load_champion(folder)
    assert "rollback" in str(refused.value.remedy)


@pytest.mark.parametrize("inputs", [WHOLE_INPUTS, INPUTS[:-2], (*INPUTS, "more")], ids=str)
def test_load_champion__manifest_of_another_signature_than_the_model__is_refused(
    inputs: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(NexusError, match="the published model is damaged"):
        load_champion(bundled(tmp_path, "1", graph, inputs))


async def test_watcher__model_swapped_in_place__is_refused_by_hash_and_by_shape_and_taken_when_mended(
    tmp_path: Path, watcher: Watcher, served: list[Champion]
) -> None:
    bundled(tmp_path, "1")
    write_pointer(tmp_path, "1")
    assert await watcher.look()
    folder = bundled(tmp_path, "2")
    good = (folder / MODEL_FILE).read_bytes()
    graph(tmp_path / "foreign.onnx", titles=9)
    foreign = (tmp_path / "foreign.onnx").read_bytes()
    (folder / MODEL_FILE).write_bytes(foreign)
    write_pointer(tmp_path, "2")
    assert not await watcher.look()  # by its hash
    rewritten(folder, MODEL_FILE, foreign)
    assert not await watcher.look()  # by its shape
    rewritten(folder, MODEL_FILE, good)
    assert await watcher.look()
    assert [champion.version for champion in served] == ["1", "2"]


@pytest.mark.parametrize(
    "vocabulary", ["null", '{"": 1}', '["", 7]', '["", "t1", "t1"]', "[", "[]", '["", "t1"]'], ids=str
)
async def test_watcher__vocabulary_that_is_none__is_refused_and_the_old_one_stays(
    vocabulary: str, tmp_path: Path, watcher: Watcher, served: list[Champion]
) -> None:
    bundled(tmp_path, "1")
    write_pointer(tmp_path, "1")
    assert await watcher.look()
    rewritten(bundled(tmp_path, "2"), VOCABULARY_FILE, vocabulary.encode())
    write_pointer(tmp_path, "2")
    assert not await watcher.look()
    assert [champion.version for champion in served] == ["1"]


async def test_watcher__bundle_of_another_version_in_the_folder__is_refused(
    tmp_path: Path, watcher: Watcher, served: list[Champion]
) -> None:
    bundled(tmp_path, "1").rename(bundle_folder(tmp_path, "2"))
    write_pointer(tmp_path, "2")
    assert not await watcher.look()
    assert served == []


def test_load_champion__with_and_without_a_projection__both_are_served(tmp_path: Path) -> None:
    assert load_champion(bundled(tmp_path, "1")).content is None
    champion = load_champion(bundled(tmp_path, "2", projection=content()))
    assert champion.content is not None
    assert champion.content.row_of == {2: 0, 3: 1, 4: 2, 5: 3}


async def test_watcher__projection_damaged_or_foreign__is_refused_and_the_old_model_stays(
    tmp_path: Path, watcher: Watcher, served: list[Champion]
) -> None:
    async def refused(folder: Path, reason: str) -> None:
        assert not await watcher.look()
        with pytest.raises(NexusError, match=reason):
            load_champion(folder)

    bundled(tmp_path, "1", projection=content())
    write_pointer(tmp_path, "1")
    assert await watcher.look()
    folder = bundled(tmp_path, "2", projection=content())
    good = (folder / CONTENT_FILE).read_bytes()
    write_pointer(tmp_path, "2")
    (folder / CONTENT_FILE).unlink()
    await refused(folder, "missing")
    (folder / CONTENT_FILE).write_bytes(good[:-4] + b"1234")
    await refused(folder, "SHA-256")
    content(TITLES + 3).write(tmp_path / "foreign")
    rewritten(folder, CONTENT_FILE, (tmp_path / "foreign").read_bytes())
    await refused(folder, "indices into the vocabulary")
    rewritten(folder, CONTENT_FILE, b"\x80\x04N." * 9)
    await refused(folder, "cannot be read")
    assert [champion.version for champion in served] == ["1"]
    rewritten(folder, CONTENT_FILE, good)
    assert await watcher.look()
    assert [champion.version for champion in served] == ["1", "2"]
