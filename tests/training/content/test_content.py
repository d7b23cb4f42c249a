"""The content model: titles that nobody met rank by what is known about them, on damaged and tiny data, too."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nexus.errors import NexusError
from tests.training.conftest import toy
from training import protocols
from training.content import facts, weights
from training.content.config import ContentConfig
from training.content.model import ContentModel, FittedContent
from training.content.part import content_part
from training.content.space import counted, space
from training.content.vectors import TextVectors
from training.dataset import Dataset, Floats, History
from training.export import real_inputs, session
from training.metrics import unseen_figures
from training.models_api import Explained, Exportable, Refittable, TakesVectors, quiet
from training.protocols import Task
from training.recipes.content import VALUES

pytestmark = pytest.mark.unit
DEBUG = VALUES["content-debug"]


def clustered(viewers: int = 60, titles: int = 80, seed: int = 2) -> Dataset:
    """Half of the titles are of one kind and half of another; each viewer watches one kind."""
    base, random = toy(viewers, titles, seed), np.random.default_rng(seed)
    genres = ((), *(("War",) if n <= titles // 2 else ("Drama",) for n in range(1, titles + 1)))
    histories = []
    for number in range(viewers):
        kind = np.arange(1, titles // 2 + 1) + (number % 2) * (titles // 2)
        items = random.permutation(kind)[:20].astype(np.int64)
        histories.append(History(items, np.ones(20, np.float32), np.arange(20.0), np.zeros((20, 2), np.float32)))
    return replace(base, histories=tuple(histories), genres=genres, years=np.full(titles + 1, np.nan, np.float32))


def fitted(data: Dataset, task: Task, config: ContentConfig = DEBUG, vectors: Floats | None = None) -> FittedContent:
    model = ContentModel(config, None if vectors is None else lambda _: vectors)
    made = model.fit(data, task.learn, validation=task.validation, seed=0, budget_s=60.0, tell=quiet)
    assert isinstance(made, FittedContent)
    return made


@pytest.fixture(scope="module")
def kinds() -> Dataset:
    return clustered()


@pytest.fixture(scope="module")
def task(kinds: Dataset) -> Task:
    return protocols.task("held-out-titles", kinds)


def test_fit__titles_nobody_met__those_of_the_viewers_kind_come_first(kinds: Dataset, task: Task) -> None:
    model = fitted(kinds, task)
    assert isinstance(model, Refittable)
    assert isinstance(model, Explained)
    assert isinstance(model, Exportable)
    assert isinstance(ContentModel(DEBUG), TakesVectors)
    assert task.unseen is not None
    unseen = np.flatnonzero(task.unseen)
    scores = model.refit(task.relearn).scores(task.test.histories, task.test.contexts)[:, unseen]
    is_own = np.array([[kinds.genres[j] == kinds.genres[h.items[0]] for j in unseen] for h in task.test.histories])
    assert np.where(is_own, scores, np.inf).min() > np.where(is_own, -np.inf, scores).max(axis=1).min()
    for row, own in zip(scores, is_own, strict=True):
        assert row[own].min() > row[~own].max()
    half = unseen_figures(model.refit(task.relearn), task.test, task.unseen)["unseen_mrr"]
    assert half > unseen_figures(Constant(kinds.size), task.test, task.unseen)["unseen_mrr"]


class Constant:
    def __init__(self, size: int) -> None:
        self.size = size

    def scores(self, histories: list[History], contexts: Floats) -> Floats:  # noqa: ARG002
        return np.zeros((len(histories), self.size), np.float32)


def test_fit__twice__is_the_same(kinds: Dataset, task: Task) -> None:
    one, other = fitted(kinds, task), fitted(kinds, task)
    assert one.settings == other.settings
    assert (
        one.scores(task.test.histories, task.test.contexts) == other.scores(task.test.histories, task.test.contexts)
    ).all()


def test_score__of_a_title__does_not_ask_whether_anybody_met_it(kinds: Dataset, task: Task) -> None:
    """Two titles of like facts have the same score, met or not."""
    model = fitted(kinds, task)
    scores = model.scores(task.test.histories, task.test.contexts)
    popularity = np.bincount(np.concatenate([h.items for h in task.learn]), minlength=kinds.size)
    wars = [n for n in range(1, kinds.size) if kinds.genres[n] == ("War",)]
    assert min(popularity[wars]) == 0 < max(popularity[wars])
    assert np.ptp(scores[:, wars], axis=1).max() == 0.0


def test_part__in_one_call__scores_like_its_definition(kinds: Dataset, task: Task) -> None:
    part = content_part(kinds, task.learn, config=DEBUG)
    history = task.test.histories[0]
    assert part.ease is not None
    rows = part.ease.rows(np.arange(kinds.size))
    wanted = part.static + sum(part.decay**step * rows[i] for step, i in enumerate(history.items[::-1][: part.last]))
    assert np.allclose(part.scores([history], task.test.contexts[:1])[0], wanted, rtol=1e-4, atol=1e-4)
    assert np.isfinite(part.scores([history.until(0)], task.test.contexts[:1])).all()


def test_space__ease__is_the_projected_table_without_its_diagonal(kinds: Dataset, task: Task) -> None:
    told = counted(task.learn, kinds.size, DEBUG)
    known = facts.of(kinds, DEBUG)
    found = space(told, known, 1.0)
    table = told.ease.rows(np.arange(kinds.size))
    np.fill_diagonal(table, 0.0)
    assert np.allclose(found.lefts["ease"], table @ found.lefts["alike"], atol=1e-5)


def test_weights__a_part_that_says_nothing__counts_nothing(kinds: Dataset, task: Task) -> None:
    random = np.random.default_rng(0)
    noise = random.normal(size=(kinds.size, 6)).astype(np.float32)
    model = fitted(kinds, task, DEBUG.model_copy(update={"strength": 0.01}), vectors=noise)
    of = model.settings["weights"]
    assert of["years"] == 0.0
    assert of["genres"] > 0.0
    assert all(value >= 0.0 for value in of.values())


def test_asked__hidden_titles__are_in_no_history(kinds: Dataset, task: Task) -> None:
    hidden = weights.draw(np.ones(kinds.size, np.float32), 0.3, np.random.default_rng(1))
    found = weights.asked(task.learn, hidden, DEBUG, np.random.default_rng(1))
    assert len(found.targets) > 0
    assert hidden[found.targets].all()
    for history, target, met in zip(found.histories, found.targets, found.met, strict=True):
        assert not hidden[history.items].any()
        assert target not in met


def test_export__of_the_model__ranks_as_measured_and_adds_up(kinds: Dataset, task: Task, tmp_path: Path) -> None:
    model = fitted(kinds, task)
    made = model.export(kinds, tmp_path / "model.onnx")
    inputs = real_inputs(kinds, task.test.histories, model.history_length)
    scores, moved = session(made.path).run(["scores", "contributions"], inputs)
    wanted = model.scores(task.test.histories, task.test.contexts)
    assert np.allclose(scores[:, 1:], wanted[:, 1:], rtol=1e-3, atol=1e-3)
    asked = inputs["titles"]
    static = np.where(asked > 0, model.fitted.static[asked], 0.0)
    assert np.allclose(
        moved.sum(axis=1) + static, np.where(asked > 0, np.take_along_axis(scores, asked, axis=1), 0.0), atol=1e-3
    )


@pytest.mark.parametrize("damage", ["nan", "inf", "none known", "nothing at all"])
def test_fit__facts_that_are_damaged__count_as_not_known(kinds: Dataset, task: Task, damage: str) -> None:
    data, vectors = kinds, np.random.default_rng(0).normal(size=(kinds.size, 5)).astype(np.float32)
    if damage in ("nan", "inf"):
        vectors[3:9] = float(damage)
        years = kinds.years.copy()
        years[5] = np.inf
        data = replace(kinds, years=years)
    elif damage == "none known":
        vectors[:] = np.nan
    else:
        data = replace(kinds, genres=((),) * kinds.size)
    model = fitted(data, task, vectors=None if damage == "nothing at all" else vectors)
    assert np.isfinite(model.scores(task.test.histories, task.test.contexts)).all()


@pytest.mark.parametrize(("viewers", "titles"), [(1, 1), (1, 5), (5, 1), (3, 2)])
def test_fit__hardly_any_data__gives_scores(viewers: int, titles: int) -> None:
    base = toy(max(viewers, 2), max(titles, 13))
    items = np.arange(1, titles + 1, dtype=np.int64)
    one = History(items, np.ones(titles, np.float32), np.arange(float(titles)), np.zeros((titles, 2), np.float32))
    data = replace(base, histories=(one,) * viewers)
    model = ContentModel(VALUES["content"]).fit(
        data, [one] * viewers, validation=None, seed=0, budget_s=60.0, tell=quiet
    )
    found = model.scores([one, one.until(0)], np.zeros((2, 2), np.float32))
    assert found.shape == (2, data.size)
    assert np.isfinite(found).all()


def test_fit__nothing_to_learn_from__is_refused(kinds: Dataset) -> None:
    with pytest.raises(NexusError, match="nothing to learn"):
        ContentModel(DEBUG).fit(kinds, [], validation=None, seed=0, budget_s=1.0, tell=quiet)


def test_facts__vectors_of_another_catalogue__are_refused(kinds: Dataset) -> None:
    with pytest.raises(NexusError, match="one row a title"):
        facts.of(kinds, DEBUG, np.zeros((3, 4), np.float32))


def test_vectors__from_a_file__stand_by_title(kinds: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "v.npz"
    np.savez(path, ids=np.array(["t001", "other", "t000"]), vectors=np.arange(6.0).reshape(3, 2))
    found = TextVectors.read(path).of(kinds)
    assert found.shape == (kinds.size, 2)
    assert found[1].tolist() == [4.0, 5.0]
    assert found[2].tolist() == [0.0, 1.0]
    assert not found[3:].any()


@pytest.mark.parametrize("content", ["missing", "words", "one array", "lengths", "strangers", "objects"])
def test_vectors__a_file_of_another_form__is_refused(kinds: Dataset, tmp_path: Path, content: str) -> None:
    path = tmp_path / "v.npz"
    if content == "words":
        path.write_text("no zip")
    elif content == "one array":
        np.savez(path, ids=np.array(["t001"]))
    elif content == "lengths":
        np.savez(path, ids=np.array(["t001"]), vectors=np.ones((2, 2)))
    elif content == "strangers":
        np.savez(path, ids=np.array(["x"]), vectors=np.ones((1, 2)))
    elif content == "objects":
        np.savez(path, ids=np.array([{"a": 1}], dtype=object), vectors=np.ones((1, 2)))
    with pytest.raises(NexusError) as caught:
        TextVectors.read(path).of(kinds)
    assert caught.value.field == "--vectors"
