"""Every floor behind the interface of models: what it finds, against slow counts, and what it does with little."""

from dataclasses import replace

import numpy as np
import pytest

from nexus.errors import NexusError
from training import protocols
from training.dataset import Dataset, History, leave_out
from training.evaluation import Scorer, evaluate
from training.floor_models import FLOORS, FittedFloor, FloorModel, cosine_table, packed
from training.models_api import Explained, Exportable, Refittable, quiet
from training.protocols import Task

pytestmark = pytest.mark.unit


def fitted(name: str, data: Dataset, task: Task) -> Scorer:
    return FloorModel(name).fit(data, task.learn, validation=task.validation, seed=0, budget_s=60.0, tell=quiet)


@pytest.mark.parametrize("name", FLOORS)
def test_fit__every_floor__scores_refits_and_says_what_it_chose(world: Dataset, name: str) -> None:
    task = protocols.task("leave-one-out", world)
    scorer = fitted(name, world, task)
    assert isinstance(scorer, Refittable)
    assert isinstance(scorer, Explained)
    assert isinstance(scorer, Exportable)
    outcome = evaluate(scorer.refit(task.relearn), task.test, world.size)
    assert len(outcome.ranks) == len(task.test)
    if name in {"popularity", "recent"}:
        assert outcome.ndcg_10.mean() < 0.5
    assert scorer.scores([world.histories[0].until(0)], task.test.contexts[:1]).shape == (1, world.size)


def test_fit__viewers_who_walk_in_order__only_transitions_know_what_comes_next(world: Dataset) -> None:
    task = protocols.task("leave-one-out", world)
    figures = {}
    for name in FLOORS:
        scorer = fitted(name, world, task)
        assert isinstance(scorer, Refittable)
        figures[name] = float(evaluate(scorer.refit(task.relearn), task.test, world.size).ndcg_10.mean())
    assert figures["transitions"] > 0.8
    assert max(figures, key=lambda name: figures[name]) == "transitions"
    assert figures["item-knn"] > figures["popularity"]


def test_fit__floors_of_the_platform__come_out_the_same(world: Dataset) -> None:
    from training import floors

    task = protocols.task("leave-one-out", world)
    chosen = {choice.name: choice for choice in floors.choose_all(world)}
    test = leave_out(world, last=1, name="test")
    for name, choice in chosen.items():
        scorer = fitted(name, world, task)
        assert isinstance(scorer, FittedFloor)
        assert scorer.settings == choice.config
        own = evaluate(scorer.refit(task.relearn), task.test, world.size).ranks
        assert (own == evaluate(choice.fit(test.histories), test, world.size).ranks).all()


def test_recent__titles_of_the_last_days__come_first() -> None:
    def one(*events: tuple[int, float]) -> History:
        items, days = np.array([i for i, _ in events]), np.array([d for _, d in events])
        return History(items, np.zeros(len(items), np.float32), days * 86_400.0, np.zeros((len(items), 0), np.float32))

    learn = [one((1, 0), (2, 1), (3, 99)), one((1, 0), (2, 2)), one((1, 1), (4, 100))]
    data = Dataset(("", *"abcd"), ("u", "v", "w"), tuple(learn), np.zeros(5, np.float32), ((),) * 5, (), "h")
    scores = (
        FloorModel("recent")
        .fit(data, learn, validation=None, seed=0, budget_s=9, tell=quiet)
        .scores(learn[:1], np.zeros((1, 0), np.float32))[0]
    )
    assert scores[3] == scores[4] > scores[1] > scores[2] > scores[0]
    wide = FloorModel("recent", days=1000.0).fit(data, learn, validation=None, seed=0, budget_s=9, tell=quiet)
    assert np.argmax(wide.scores(learn[:1], np.zeros((1, 0), np.float32))[0]) == 1
    timeless = replace(data, has_times=False)
    by_place = FloorModel("recent").fit(timeless, learn, validation=None, seed=0, budget_s=9, tell=quiet)
    assert by_place.scores(learn[:1], np.zeros((1, 0), np.float32))[0].argmax() in {2, 3, 4}


@pytest.mark.parametrize("shrink", [0.0, 5.0])
def test_cosine_table__small_data__is_the_definition(shrink: float) -> None:
    random = np.random.default_rng(2)
    sequences = [random.permutation(np.arange(1, 12))[: random.integers(1, 8)] for _ in range(15)]
    table = cosine_table(sequences, 12, shrink, 200).toarray()
    for one in range(12):
        for other in range(12):
            both = sum(one in s and other in s for s in sequences)
            counts = [sum(title in s for s in sequences) for title in (one, other)]
            wanted = 0.0 if one == other or not both else both / (np.sqrt(counts[0] * counts[1]) + shrink)
            assert table[one, other] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("name", FLOORS)
def test_fit__one_viewer__still_scores(name: str) -> None:
    items = np.arange(1, 5)
    alone = History(items, np.ones(4, np.float32), items * 1.0, np.zeros((4, 0), np.float32))
    data = Dataset(("", *"abcd"), ("u",), (alone,), np.zeros(5, np.float32), ((),) * 5, (), "h")
    task = protocols.task("leave-one-out", data)
    assert np.isfinite(fitted(name, data, task).scores(task.test.histories, task.test.contexts)).all()


@pytest.mark.parametrize("name", FLOORS)
def test_fit__nothing_to_learn_from__is_one_error(world: Dataset, name: str) -> None:
    with pytest.raises(NexusError, match="nothing to learn from"):
        FloorModel(name).fit(world, [], validation=None, seed=0, budget_s=9, tell=quiet)


def test_fit__no_time_left__takes_the_first_settings(world: Dataset) -> None:
    task = protocols.task("leave-one-out", world)
    said: list[str] = []
    FloorModel("transitions").fit(
        world, task.learn, validation=task.validation, seed=0, budget_s=-1.0, tell=said.append
    )
    assert "best of 1" in said[0]


@pytest.mark.parametrize("name", ["ease", "item-knn", "transitions", "popularity"])
def test_packed__every_entry_kept__gives_the_floors_scores(world: Dataset, name: str) -> None:
    task = protocols.task("leave-one-out", world)
    scorer = fitted(name, world, task)
    assert isinstance(scorer, FittedFloor)
    index, near = packed(scorer.fitted, world.size)
    history = task.test.histories[0]
    scores = scorer.fitted.static.copy()
    for step, title in enumerate(history.items[::-1][: scorer.fitted.last]):
        weight = scorer.fitted.decay**step * scorer.fitted.source[title]
        np.add.at(scores, index[title], weight * near[title, 0])
    wanted = scorer.scores([history], task.test.contexts[:1])[0]
    unseen = np.setdiff1d(np.arange(1, world.size), history.items)
    assert np.allclose(scores[unseen], wanted[unseen], atol=1e-4)
    assert packed(scorer.fitted, 3)[0].shape[1] <= 3
