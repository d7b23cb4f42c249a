"""The hybrid on the toy world: it takes the best of its parts, is counted anew, explained, and says the same as ONNX."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nexus.errors import NexusError
from training import protocols
from training.dataset import Dataset, History
from training.evaluation import evaluate
from training.export import real_inputs, session
from training.floors import Fitted
from training.hybrid.config import HybridConfig
from training.hybrid.fitted import FittedHybrid
from training.hybrid.model import HybridModel, before, ending
from training.models_api import Explained, Exportable, Refittable, quiet
from training.protocols import Task
from training.recipes import registry
from training.recipes.hybrid import VALUES

pytestmark = pytest.mark.unit
COUNTS = VALUES["hybrid-debug"].model_copy(update={"mixture": None})


def fitted(data: Dataset, task: Task, config: HybridConfig = COUNTS) -> FittedHybrid:
    made = HybridModel(config).fit(data, task.learn, validation=task.validation, seed=0, budget_s=60.0, tell=quiet)
    assert isinstance(made, FittedHybrid)
    return made


@pytest.fixture(scope="module")
def task(world: Dataset) -> Task:
    return protocols.task("leave-one-out", world)


@pytest.fixture(scope="module")
def counts(world: Dataset, task: Task) -> FittedHybrid:
    return fitted(world, task)


def test_fit__viewers_who_walk_in_order__is_as_good_as_the_best_part(
    world: Dataset, task: Task, counts: FittedHybrid
) -> None:
    assert isinstance(counts, Refittable)
    assert isinstance(counts, Explained)
    assert isinstance(counts, Exportable)
    found = evaluate(counts.refit(task.relearn), task.test, world.size).ndcg_10.mean()
    assert found >= max(
        evaluate(part, task.test, world.size).ndcg_10.mean() for part in counts.refit(task.relearn).parts.values()
    )
    assert found > 0.95


def test_fit__twice__is_the_same(world: Dataset, task: Task, counts: FittedHybrid) -> None:
    again = fitted(world, task)
    assert (again.weights.plain == counts.weights.plain).all()
    assert again.settings == counts.settings


def test_recipe__debug__has_the_mixture_and_exports(world: Dataset, task: Task, tmp_path: Path) -> None:
    build = registry.named("hybrid-debug").build
    assert build is not None
    model = build().fit(world, task.learn, validation=task.validation, seed=1, budget_s=60.0, tell=quiet)
    assert isinstance(model, FittedHybrid)
    assert "mixture" in model.settings["weights"]
    made = model.export(world, tmp_path / "model.onnx")
    assert made.max_abs_difference < 1e-4
    inputs = real_inputs(world, task.test.histories, model.history_length)
    scores, contributions = session(made.path).run(None, inputs)
    assert contributions.shape == (len(task.test), model.history_length, world.size)
    wanted = model.scores(task.test.histories, task.test.contexts)
    assert np.allclose(scores[:, 1:], wanted[:, 1:], atol=1e-3)


@pytest.mark.parametrize("name", sorted(VALUES))
def test_recipe__of_each_name__builds_its_model(name: str) -> None:
    recipe = registry.named(name)
    assert recipe.build is not None
    model = recipe.build()
    assert isinstance(model, HybridModel)
    assert recipe.values == model.config.model_dump()


def test_contributions__each_watched_title__is_what_it_adds(world: Dataset, task: Task, counts: FittedHybrid) -> None:
    """From the definition: weight of the part, over its deviation, times the title's row."""
    import torch

    from training.hybrid import features
    from training.hybrid.graph import HybridGraph

    plain = replace(counts, is_bent=(False,) * len(counts.parts))
    length, history = plain.history_length, task.test.histories[3]
    inputs = real_inputs(world, [history], length)
    names = ("items", "values", "ages_days", "context")
    with torch.no_grad():
        scores, got = HybridGraph(plain).eval()(*(torch.from_numpy(inputs[name]) for name in names))
    raw = features.raw(list(plain.parts.values()), [history], task.test.contexts[3:4])
    found = features.scaled(raw, plain.is_bent, [history])
    gate = plain.weights.viewer_gate(np.array([len(history)]))[0]
    per_part = (plain.weights.plain + gate * plain.weights.by_length)[:, None]
    per_part = per_part + plain.weights.by_known[:, None] * plain.weights.title_gate(plain.popularity)[None]
    wanted = np.zeros((length, world.size))
    for place, part in enumerate(plain.parts.values()):
        assert isinstance(part, Fitted)
        factor = per_part[place] * found.scale[0, place] * found.unseen[0]
        for step, title in enumerate(history.items[::-1][: part.last]):
            one = np.zeros(world.size, np.float32)
            if part.table is not None:
                one = part.table[[title]].toarray()[0]
            elif part.ease is not None:
                one = part.ease.rows(np.array([title]))[0]
            wanted[length - 1 - step] += factor * part.decay**step * part.source[title] * one
    assert np.allclose(got[0].numpy()[:, 1:], wanted[:, 1:], atol=1e-3)
    assert np.allclose(plain.scores([history], task.test.contexts[3:4])[0, 1:], scores[0, 1:], atol=1e-3)


@pytest.mark.parametrize("vectors", [None, "text"])
def test_parts__text_vectors__are_one_more_part(world: Dataset, task: Task, vectors: str | None) -> None:
    def made(data: Dataset) -> np.ndarray:
        return np.random.default_rng(0).standard_normal((data.size, 4)).astype(np.float32)

    model = HybridModel(COUNTS, vectors=made if vectors else None)
    found = model.fit(world, task.learn, validation=task.validation, seed=0, budget_s=60.0, tell=quiet)
    assert isinstance(found, FittedHybrid)
    assert ("text" in found.parts) == bool(vectors)


def test_scores__histories_of_no_and_of_many_titles__are_finite(world: Dataset, counts: FittedHybrid) -> None:
    none, many = world.histories[0].until(0), world.histories[0]
    long = History(*(np.concatenate([column] * 50) for column in (many.items, many.values, many.at_s, many.context)))
    found = counts.scores([none, long], np.zeros((2, 2), np.float32))
    assert np.isfinite(found).all()


def test_fit__one_viewer_or_no_validation__still_scores() -> None:
    items = np.arange(1, 5)
    alone = History(items, np.ones(4, np.float32), items.astype(np.float64), np.zeros((4, 0), np.float32))
    data = Dataset(("", *"abcd"), ("u",), (alone,), np.zeros(5, np.float32), ((),) * 5, (), "h")
    one = protocols.task("leave-one-out", data)
    for validation in (one.validation, None):
        model = HybridModel(VALUES["hybrid-debug"])
        found = model.fit(data, one.learn, validation=validation, seed=0, budget_s=9.0, tell=quiet)
        assert isinstance(found, FittedHybrid)
        assert found.settings["form"] == "equal"
        assert np.isfinite(found.scores(one.test.histories, one.test.contexts)).all()


def test_fit__nothing_to_learn_from__is_one_error(world: Dataset) -> None:
    with pytest.raises(NexusError, match="nothing to learn from"):
        HybridModel(COUNTS).fit(world, [], validation=None, seed=0, budget_s=9.0, tell=quiet)


def test_ending__titles_from_the_end__are_asked_with_what_came_before(world: Dataset) -> None:
    found = ending(world.histories, 3, 2)
    assert found is not None
    history = world.histories[0]
    assert found.targets[0] == history.items[-3]
    assert (found.histories[0].items == history.items[:-3]).all()
    assert len(before(history, 3)) == len(history) - 3
    assert ending(world.histories, 12, 2) is None
