"""The recipes of the content model, through the functions that ``bin/nexus train`` runs."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import toy
from training import protocols, run
from training.content.model import ContentModel
from training.content.vectors import TextVectors
from training.files.reading import Loaded
from training.recipes.content import VALUES, recipe
from training.run_folder import claimed

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("name", sorted(VALUES))
def test_recipe__of_each_name__builds_its_model(name: str) -> None:
    found = recipe(name)
    assert found.build is not None
    model = found.build()
    assert isinstance(model, ContentModel)
    assert found.values == model.config.model_dump()


@pytest.mark.parametrize("has_vectors", [False, True])
def test_run__held_out_titles__writes_figures_of_unseen_titles(tmp_path: Path, has_vectors: bool) -> None:
    world = toy(40, 60)
    path = tmp_path / "v.npz"
    np.savez(path, ids=np.array(world.vocabulary[1:]), vectors=np.random.default_rng(0).normal(size=(60, 5)))
    vectors = TextVectors.read(path) if has_vectors else None
    task = protocols.task("held-out-titles", world)
    order = run.Order(recipe("content-debug"), Loaded(world, "toy"), task, 0, "cpu", vectors=vectors)
    assert ("vectors" in order.identity()) == has_vectors
    with claimed(tmp_path / "out", order.identity()) as folder:
        summary = run.run(order, folder, lambda _: None)
    assert summary["model"] == "content"
    assert summary["metrics"]["unseen_mrr"] > summary["floors"]["popularity"]["unseen_mrr"]
    assert ("text" in summary["candidates"]["content"]["settings"]["weights"]) == has_vectors
    # Without text whole groups of titles have equal facts; ONNX Runtime tells them apart by rounding, the scorer does not.
    assert summary["onnx"]["equal_ranks"] > (0.9 if has_vectors else 0.5)
    assert (tmp_path / "out" / "model.onnx").is_file()
