"""The network: tables, cross-fitting, training of a debug size, ONNX equal to torch, exact contributions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training import export, floors, neighbours, recommender
from training.config import RecommenderConfig
from training.dataset import Dataset, leave_out
from training.evaluation import evaluate
from training.examples import cross_fitted
from training.recommender import Prepared, Trained

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def prepared(world: Dataset, config: RecommenderConfig) -> Prepared:
    return recommender.prepare(world, config)


@pytest.fixture(scope="module")
def trained(prepared: Prepared) -> Trained:
    return recommender.train(prepared, seed=1, max_seconds=60)


def test_tables__rows__sum_to_one_and_never_hold_the_title_itself(prepared: Prepared) -> None:
    for matrix in prepared.tables.matrices:
        sums = np.asarray(matrix.sum(axis=1)).ravel()
        assert np.all(np.isclose(sums, 1.0, atol=1e-5) | (sums == 0.0))
        assert matrix.diagonal().sum() == 0
        assert matrix[:, [0]].nnz == matrix[[0]].nnz == 0
        assert matrix.data.min(initial=0.0) >= 0


def test_packed__index_and_values__rebuild_the_matrices(prepared: Prepared) -> None:
    index, values = prepared.tables.packed(64)
    for channel, matrix in enumerate(prepared.tables.matrices):
        dense = np.zeros(matrix.shape)
        np.add.at(dense, (np.arange(len(index))[:, None], index), values[:, channel])
        assert np.allclose(dense, matrix.toarray(), atol=1e-6)


def test_cross_fitted__target_known_to_one_viewer_only__is_not_leaked(
    world: Dataset, config: RecommenderConfig
) -> None:
    # A title that one viewer alone has met can be in no table of the other folds, except by its content.
    histories = list(leave_out(world, last=2, name="validation").histories)
    alone = histories[0].items.copy()
    alone[-1] = world.size
    histories[0] = type(histories[0])(alone, histories[0].values, histories[0].at_s, histories[0].context)
    size = world.size + 1
    content = neighbours.content_table(world, np.ones(world.size, np.float32), config.width)
    content.resize(size, size)
    examples = cross_fitted(histories, size, content, config, seed=0)
    hits = examples.hit.sum(axis=(1, 2))
    assert (hits == 0).sum() == 1
    assert examples.prior_hit[hits == 0] == 0


def test_train__viewers_who_walk_in_order__learns_the_order(prepared: Prepared, trained: Trained) -> None:
    losses = [point["loss"] for point in trained.curve[1:]]
    assert losses[-1] < losses[0]
    test = leave_out(prepared.dataset, last=1, name="test")
    outcome = evaluate(recommender.rebuilt(trained, prepared, test.histories), test, prepared.dataset.size)
    assert outcome.metrics()["ndcg_10"] > 0.8


def test_train__same_seed__gives_the_golden_loss(prepared: Prepared, trained: Trained) -> None:
    again = recommender.train(prepared, seed=1, max_seconds=60)
    assert [point["loss"] for point in again.curve[1:]] == pytest.approx([point["loss"] for point in trained.curve[1:]])


def test_train__other_seed__gives_another_model(prepared: Prepared, trained: Trained) -> None:
    other = recommender.train(prepared, seed=2, max_seconds=60)
    assert other.curve[1]["loss"] != trained.curve[1]["loss"]


def test_untrained_network__encoder__adds_nothing(prepared: Prepared) -> None:
    import torch

    from training.models.mixture import AttentionWeigher

    weigher = AttentionWeigher(
        torch.from_numpy(prepared.tables.popularity), torch.from_numpy(prepared.factors), 2, prepared.config
    ).eval()
    inputs = export.random_inputs(prepared.dataset, 4, prepared.config.history_length, 0)
    ages = torch.from_numpy(inputs["ages_days"])
    items, values, context = (torch.from_numpy(inputs[name]) for name in ("items", "values", "context"))
    assert torch.equal(weigher(items, values, ages, context), weigher(items, values, ages * 0, context * 0))


@pytest.mark.parametrize("kind", ["attention", "transitions", "ease", "popularity"])
def test_export__any_candidate__agrees_with_its_scorer_and_adds_up(
    kind: str, prepared: Prepared, trained: Trained, tmp_path: Path
) -> None:
    data, length = prepared.dataset, prepared.config.history_length
    split = leave_out(data, last=1, name="test")
    if kind == "attention":
        fitted = recommender.rebuilt(trained, prepared, split.histories)
    else:
        fitted = floors.choose(kind, data, split).fit(split.histories)
    path = tmp_path / "model.onnx"
    found = export.export(export.scorer_of(fitted, length), data, path, history_length=length)
    assert found.max_abs_difference < 1e-5

    running = export.session(path)
    assert [value.name for value in running.get_inputs()] == ["items", "values", "ages_days", "context", "titles"]
    inputs = export.real_inputs(data, [h.until(length) for h in split.histories[:5]], length)
    inputs["titles"] = np.tile(np.arange(data.size), (5, 1))
    scores, contributions = running.run(["scores", "contributions"], inputs)
    empty = {name: np.zeros_like(array[:1]) for name, array in inputs.items()}
    static, nothing = running.run(["scores", "contributions"], empty)
    assert not nothing.any()
    assert np.allclose(scores - contributions.sum(axis=1), static, atol=1e-5)
    if kind != "ease":  # the served rows of EASE are cut to their positive weights
        wanted = fitted.scores([h.until(length) for h in split.histories[:5]], inputs["context"])
        assert np.allclose(scores[:, 1:], wanted[:, 1:], rtol=5e-3, atol=2e-3)


def test_exported__few_titles_asked__are_the_columns_of_all_and_leave_the_scores(
    prepared: Prepared, trained: Trained, tmp_path: Path
) -> None:
    data, length = prepared.dataset, prepared.config.history_length
    fitted = recommender.rebuilt(trained, prepared, data.histories)
    scorer = export.scorer_of(fitted, length)
    export.export(scorer, data, tmp_path / "m.onnx", history_length=length)
    running = export.session(tmp_path / "m.onnx")
    inputs = export.real_inputs(data, data.histories[:3], length)
    by_definition = _contributions(scorer, inputs, data.size)
    assert by_definition.any()
    scores = running.run(["scores"], inputs)[0]
    random = np.random.default_rng(1)
    for count in (1, 2, 7, 3 * data.size):
        titles = random.integers(0, data.size, (3, count))
        found = running.run(["scores", "contributions"], inputs | {"titles": titles})
        assert np.array_equal(found[0], scores)
        wanted = np.take_along_axis(by_definition, np.repeat(titles[:, None], length, axis=1), axis=2)
        assert np.allclose(found[1], wanted, rtol=1e-5, atol=1e-7)
        assert not found[1][np.repeat(titles[:, None] == 0, length, axis=1)].any()


def _contributions(scorer: Any, inputs: export.Inputs, size: int) -> np.ndarray:
    """``[B, L, N+1]`` entry by entry: its weights times its rows."""
    import torch

    named = ("items", "values", "ages_days", "context")
    with torch.no_grad():
        weights = scorer.weigher(*(torch.from_numpy(inputs[name]) for name in named)).numpy()
    index, near = scorer.index.numpy(), scorer.near.float().numpy()
    whole = np.zeros((*inputs["items"].shape, size), np.float32)
    for place in np.ndindex(inputs["items"].shape):
        item = inputs["items"][place]
        np.add.at(whole[place], index[item], weights[place] @ near[item])
    whole[..., 0] = 0.0
    return whole


def test_exported__padding_anywhere_and_shifted_ages__change_nothing(
    prepared: Prepared, trained: Trained, tmp_path: Path
) -> None:
    data, length = prepared.dataset, prepared.config.history_length
    fitted = recommender.rebuilt(trained, prepared, data.histories)
    export.export(export.scorer_of(fitted, length), data, tmp_path / "m.onnx", history_length=length)
    running = export.session(tmp_path / "m.onnx")
    inputs = export.real_inputs(data, [data.histories[0].until(3)], length)
    later = inputs | {"ages_days": inputs["ages_days"] + np.float32(64.0)}
    (first,), (second,) = (running.run(["scores"], one) for one in (inputs, later))
    assert np.allclose(first, second, atol=1e-4)
