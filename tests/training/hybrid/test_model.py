"""The hybrid on the toy world: it takes the best of its parts, is counted anew, explained, kept, and says the same as ONNX."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nexus.errors import NexusError
from training import protocols
from training.bundle_format import INPUTS, PART_NAMES
from training.dataset import Dataset, History
from training.evaluation import evaluate
from training.export import random_inputs, real_inputs, session
from training.floors import Fitted
from training.hybrid import features, stored
from training.hybrid.config import HybridConfig
from training.hybrid.fitted import MIXTURE, SEQUENCE, FittedHybrid, Maker
from training.hybrid.model import HybridModel, validated
from training.models_api import Composed, Explained, Exportable, Refittable, quiet
from training.protocols import Task
from training.recipes import registry
from training.recipes.hybrid import VALUES
from training.sequence.config import MixtureConfig, SequenceConfig
from training.sequence.scorer import SequenceScorer
from training.sequence.several import AverageScorer

pytestmark = pytest.mark.unit
DEBUG = VALUES["hybrid-debug"]
COUNTS = DEBUG.model_copy(update={"mixture": None, "sequence": None})


def fitted(data: Dataset, task: Task, config: HybridConfig = COUNTS) -> FittedHybrid:
    return HybridModel(config).fit(data, task.learn, validation=task.validation, seed=0, budget_s=60.0, tell=quiet)


def all_parts(hybrid: FittedHybrid, task: Task) -> FittedHybrid:
    """With every part in it, whether or not it was chosen."""
    every = hybrid.every_part(task.relearn)
    return replace(hybrid, parts=every, weights=np.linspace(0.5, 1.5, len(every)).astype(np.float32))


@pytest.fixture(scope="module")
def task(world: Dataset) -> Task:
    return protocols.task("leave-one-out", world)


@pytest.fixture(scope="module")
def counts(world: Dataset, task: Task) -> FittedHybrid:
    return fitted(world, task)


@pytest.fixture(scope="module")
def whole(world: Dataset, task: Task) -> FittedHybrid:
    return all_parts(fitted(world, task, DEBUG), task)


def test_fit__viewers_who_walk_in_order__is_as_good_as_the_best_part(
    world: Dataset, task: Task, counts: FittedHybrid
) -> None:
    assert isinstance(counts, Refittable)
    assert isinstance(counts, Explained)
    assert isinstance(counts, Exportable)
    assert isinstance(counts, Composed)
    found = evaluate(counts.refit(task.relearn), task.test, world.size).ndcg_10.mean()
    alone = [evaluate(part, task.test, world.size).ndcg_10.mean() for part in counts.every_part(task.relearn).values()]
    assert found >= max(alone)
    assert found > 0.95


def test_fit__twice__is_the_same(world: Dataset, task: Task, counts: FittedHybrid) -> None:
    again = fitted(world, task)
    assert (again.weights == counts.weights).all()
    assert again.settings == counts.settings


def test_validated__each_viewer__is_judged_by_weights_learned_without_them(task: Task, counts: FittedHybrid) -> None:
    assert counts.unbiased is not None
    assert counts.unbiased.shape == (len(task.validation), len(counts.parts))
    assert len(np.unique(counts.unbiased, axis=0)) == COUNTS.folds
    zero = replace(counts, unbiased=np.zeros_like(counts.unbiased))
    assert validated(zero, task.validation).ndcg_10.max() == 0.0
    assert validated(counts, task.validation).ndcg_10.mean() > 0.9
    assert (validated(replace(counts, unbiased=None), task.validation).ranks > 0).all()


def test_recipe__debug__has_both_trained_parts_and_says_what_each_reaches(whole: FittedHybrid) -> None:
    assert list(whole.parts)[:2] == [MIXTURE, SEQUENCE]
    assert set(whole.settings["alone_validation_ndcg@10"]) == set(whole.parts)
    assert {len(whole.trained[name]["curve"]) > 0 for name in (MIXTURE, SEQUENCE)} == {True}
    json.dumps(whole.settings)


@pytest.mark.parametrize("name", sorted(VALUES))
def test_recipe__of_each_name__builds_its_model(name: str) -> None:
    recipe = registry.named(name)
    assert recipe.build is not None
    model = recipe.build()
    assert isinstance(model, HybridModel)
    assert recipe.values == model.config.model_dump()


def test_sequence_for__larger_data__fewer_epochs() -> None:
    config = HybridConfig()
    epochs = [found.epochs for events in (1, 100_000, 300_000, 10**9) if (found := config.sequence_for(events))]
    assert epochs == [12, 12, 4, 3]
    assert config.model_copy(update={"sequence": None}).sequence_for(10) is None


def test_export__every_kind_of_part__says_what_the_scorer_says(
    world: Dataset, task: Task, whole: FittedHybrid, tmp_path: Path
) -> None:
    made = whole.export(world, tmp_path / "model.onnx")
    assert made.max_abs_difference < 1e-4
    inputs = real_inputs(world, task.test.histories, whole.history_length)
    inputs["titles"] = np.tile(np.arange(world.size), (len(task.test), 1))
    running = session(made.path)
    scores, contributions, parts = running.run(["scores", "contributions", "parts"], inputs)
    assert contributions.shape == (len(task.test), whole.history_length, inputs["titles"].shape[1])
    assert running.get_modelmeta().custom_metadata_map[PART_NAMES] == ",".join(whole.parts)
    assert np.allclose(parts.sum(axis=1), scores, atol=1e-3)
    assert (np.abs(parts).max(axis=(0, 2)) > 0).sum() >= len(whole.parts) - 1  # all titles are alike in content here
    wanted = whole.scores(task.test.histories, task.test.contexts)
    assert np.allclose(scores[:, 1:], wanted[:, 1:], atol=2e-3)


def test_contributions__each_watched_title__is_what_it_adds(world: Dataset, task: Task, counts: FittedHybrid) -> None:
    """From the definition: weight of the part, over its deviation, times the title's row."""
    import torch

    from training.hybrid.graph import HybridGraph

    class Plain(FittedHybrid):
        @property
        def is_bent(self) -> tuple[bool, ...]:
            return (False,) * len(self.parts)

    every = counts.every_part(task.relearn)
    plain = Plain(every, np.linspace(0.5, 1.5, len(every)).astype(np.float32), counts.maker)
    length, history = plain.history_length, task.test.histories[3]
    inputs = real_inputs(world, [history], length)
    inputs["titles"] = np.arange(world.size)[None]
    with torch.no_grad():
        _, got, _ = HybridGraph(plain).eval()(*(torch.from_numpy(inputs[name]) for name in INPUTS))
    raw = features.raw(list(every.values()), [history], task.test.contexts[3:4])
    found = features.scaled(raw, plain.is_bent, [history])
    wanted = np.zeros((length, world.size))
    for place, part in enumerate(every.values()):
        assert isinstance(part, Fitted)
        factor = plain.weights[place] * found.scale[0, place] * found.unseen[0]
        for step, title in enumerate(history.items[::-1][: part.last]):
            one = np.zeros(world.size)
            if part.table is not None:
                one = part.table[[title]].toarray()[0]
            elif part.ease is not None:
                one = part.ease.rows(np.array([title]))[0]
            if part.last:
                wanted[length - 1 - step] += factor * part.decay**step * part.source[title] * one
    assert np.allclose(got[0].numpy()[:, 1:], wanted[:, 1:], atol=1e-3)


def test_contributions__logarithms__add_up_to_the_score_less_what_nobody_moves(
    world: Dataset, task: Task, counts: FittedHybrid
) -> None:
    import torch

    from training.hybrid.graph import HybridGraph

    graph = HybridGraph(all_parts(counts, task)).eval()
    inputs = real_inputs(world, task.test.histories[:6], counts.history_length)
    inputs["titles"] = np.tile(np.arange(world.size), (6, 1))
    with torch.no_grad():
        scores, moved, _ = graph(*(torch.from_numpy(inputs[name]) for name in INPUTS))
    rest = (scores - moved.sum(dim=1)).numpy()
    untouched = np.abs(moved.numpy()).sum(axis=1) == 0
    for row in range(6):
        known = untouched[row] & (scores[row].numpy() != 0)
        assert np.allclose(rest[row][known], scores[row].numpy()[known])
    assert not moved.numpy()[:, :, 0].any()


def test_contributions__padding_and_repeated_titles__are_nothing_and_the_same(
    world: Dataset, whole: FittedHybrid
) -> None:
    import torch

    from training.hybrid.graph import HybridGraph

    inputs = random_inputs(world, 3, whole.history_length, 5)
    with torch.no_grad():
        _, moved, _ = HybridGraph(whole).eval()(*(torch.from_numpy(inputs[name]) for name in INPUTS))
    assert np.isfinite(moved.numpy()).all()
    assert not moved.numpy()[:, :, 1:4].any()
    assert np.allclose(moved[:, :, 0], moved[:, :, -1])
    assert not (moved.numpy() * (inputs["items"] == 0)[..., None]).any()


def test_stored__kept_and_brought_back__scores_the_same(world: Dataset, task: Task, whole: FittedHybrid) -> None:
    state = stored.state_of(whole)
    facts = json.loads(json.dumps(stored.facts_of(whole)))
    again = stored.restored(world, DEBUG, facts, state, world.vocabulary, task.relearn)
    assert list(again.parts) == list(whole.parts)
    for name, part in whole.parts.items():
        found, wanted = (one.scores(task.test.histories, task.test.contexts) for one in (again.parts[name], part))
        if name == MIXTURE:  # its table of contents is weighed by the popularity in the new histories
            assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.99
        else:
            assert np.allclose(found, wanted, atol=1e-4)
    assert (again.weights == whole.weights).all()


def test_stored__other_catalogue__known_titles_keep_their_weights(
    world: Dataset, task: Task, whole: FittedHybrid
) -> None:
    """One title fewer is known than there is now: everything is still finite, and the rest has moved by one row."""
    older = (*world.vocabulary[:5], *world.vocabulary[6:])
    state = {
        name: tensor if tensor.shape[:1] != (world.size,) else tensor[[*range(5), *range(6, world.size)]]
        for name, tensor in stored.state_of(whole).items()
    }
    again = stored.restored(world, DEBUG, stored.facts_of(whole), state, older, task.relearn)
    assert np.isfinite(again.scores(task.test.histories, task.test.contexts)).all()
    assert again.maker.sequence is not None
    assert len(again.maker.sequence.members) == DEBUG.networks
    for member in again.maker.sequence.members:
        rows = member.net.titles.weight.detach().numpy()
        assert not rows[5].any()
        assert rows[6].any()


def test_scores__histories_of_no_and_of_many_titles__are_finite(world: Dataset, whole: FittedHybrid) -> None:
    none, many = world.histories[0].until(0), world.histories[0]
    long = History(*(np.concatenate([column] * 50) for column in (many.items, many.values, many.at_s, many.context)))
    found = whole.scores([none, long], np.zeros((2, 2), np.float32))
    assert np.isfinite(found).all()


def test_fit__one_viewer__the_best_part_stands_alone() -> None:
    items = np.arange(1, 5)
    alone = History(items, np.ones(4, np.float32), items.astype(np.float64), np.zeros((4, 0), np.float32))
    data = Dataset(("", *"abcd"), ("u",), (alone,), np.zeros(5, np.float32), ((),) * 5, (), "h")
    one = protocols.task("leave-one-out", data)
    found = fitted(data, one, DEBUG)
    assert len(found.parts) == 1
    assert np.isfinite(found.scores(one.test.histories, one.test.contexts)).all()


def test_fit__nothing_to_learn_from_or_to_choose_on__is_one_error(world: Dataset, task: Task) -> None:
    with pytest.raises(NexusError, match="nothing to learn from"):
        HybridModel(COUNTS).fit(world, [], validation=task.validation, seed=0, budget_s=9.0, tell=quiet)
    with pytest.raises(NexusError, match="validation titles"):
        HybridModel(COUNTS).fit(world, task.learn, validation=None, seed=0, budget_s=9.0, tell=quiet)


def test_maker__some_names__makes_no_other_parts(world: Dataset, task: Task) -> None:
    maker = Maker(world, COUNTS)
    assert set(maker.parts(task.learn, {"ease", "next_3"})) == {"ease", "next_3"}
    assert len(maker.parts(task.learn)) == 7


def test_sequence_part__mixture_of_logits__is_exported_and_kept_like_the_dot_product(
    world: Dataset, task: Task, whole: FittedHybrid, tmp_path: Path
) -> None:
    head = MixtureConfig(viewer_parts=2, title_parts=3, part_width=8)
    config = SequenceConfig(width=16, layers=1, length=16, head=head)
    members = tuple(SequenceScorer(config.build(world.size).eval(), world.size) for _ in range(2))
    part = AverageScorer(members)
    mixed = replace(whole, parts={**whole.parts, SEQUENCE: part}, maker=replace(whole.maker, sequence=part))
    assert mixed.export(world, tmp_path / "model.onnx").max_abs_difference < 1e-4
    facts = json.loads(json.dumps(stored.facts_of(mixed)))
    again = stored.restored(world, DEBUG, facts, stored.state_of(mixed), world.vocabulary, task.relearn)
    wanted = part.scores(task.test.histories, task.test.contexts)
    assert np.allclose(again.parts[SEQUENCE].scores(task.test.histories, task.test.contexts), wanted, atol=1e-4)
    renamed = ("", *(f"old {title}" if title == world.vocabulary[5] else title for title in world.vocabulary[1:]))
    moved = stored.restored(world, DEBUG, facts, stored.state_of(mixed), renamed, task.relearn)
    found = moved.parts[SEQUENCE].scores(task.test.histories, task.test.contexts)
    assert np.isfinite(found).all()
    assert not found[:, 5].any()
    assert found[:, 6].any()
