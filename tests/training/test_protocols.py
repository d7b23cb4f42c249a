"""What each protocol lets a model learn from and asks it, on worlds where the right answer is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.errors import NexusError
from training import protocols
from training.dataset import Dataset, History, leave_out
from training.tasks import Task

pytestmark = pytest.mark.unit

ALL = [protocol.name for protocol in protocols.PROTOCOLS]
Walk = list[tuple[int, int]]


def made(walks: dict[str, Walk], titles: int = 30, values: float = 0.0, has_times: bool = True) -> Dataset:
    """A data set from ``(title, second)`` of each viewer."""
    histories = []
    for walk in walks.values():
        once = list({title: (title, second) for title, second in walk}.values())
        items = np.array([title for title, _ in once], dtype=np.int64)
        at_s = np.sort(np.array([float(second) for _, second in once])) if has_times else np.zeros(len(once))
        context = np.arange(len(once), dtype=np.float32)[:, None]
        histories.append(History(items, np.full(len(once), values, np.float32), at_s, context))
    return Dataset(
        vocabulary=("", *(f"t{n}" for n in range(1, titles + 1))),
        viewers=tuple(walks),
        histories=tuple(histories),
        years=np.full(titles + 1, np.nan, np.float32),
        genres=((),) * (titles + 1),
        context_features=("c",),
        data_hash="0123456789abcdef",
        has_times=has_times,
    )


def crowd(viewers: int = 40, length: int = 12, seed: int = 1) -> Dataset:
    random = np.random.default_rng(seed)
    walks = {}
    for viewer in range(viewers):
        start = int(random.integers(0, 1000))
        titles = random.permutation(np.arange(1, 31))[:length]
        walks[f"u{viewer:02}"] = [(int(title), start + 10 * step) for step, title in enumerate(titles)]
    return made(walks)


@pytest.fixture(scope="module")
def world() -> Dataset:
    return crowd()


@pytest.mark.parametrize("name", ALL)
def test_task__every_protocol__keeps_the_laws(world: Dataset, name: str) -> None:
    task = protocols.task(name, world)
    assert task.name == name
    assert len(task.viewers) == len(task.test) == len(set(task.viewers))
    assert world.data_hash in task.words
    for split in (task.validation, task.test):
        assert len(split.targets) == len(split.histories) == len(split.contexts) > 0
        for history, target in zip(split.histories, split.targets, strict=True):
            assert len(history) > 0
            assert target > 0
            assert target not in history.items


@pytest.mark.parametrize("name", ALL)
def test_task__what_is_learned_from__holds_no_answer(world: Dataset, name: str) -> None:
    task = protocols.task(name, world)
    by_viewer = dict(zip(world.viewers, world.histories, strict=True))
    for viewer, history, target in zip(task.viewers, task.test.histories, task.test.targets, strict=True):
        own = [part for part in task.relearn if _is_of(part, by_viewer[viewer])]
        assert all(target not in part.items for part in own)
        assert set(history.items) < set(by_viewer[viewer].items)
    for part in task.learn:
        assert any(_is_of(part, history) for history in world.histories)


def _is_of(part: History, whole: History) -> bool:
    """Whether a history is cut from another (times tell: no two viewers of the world share all of theirs)."""
    return len(part) <= len(whole) and set(zip(part.items, part.at_s, strict=True)) <= set(
        zip(whole.items, whole.at_s, strict=True)
    )


@pytest.mark.parametrize("name", ALL)
def test_task__asked_twice__is_the_same(world: Dataset, name: str) -> None:
    one, other = protocols.task(name, world), protocols.task(name, world)
    assert one.words == other.words
    assert one.viewers == other.viewers
    assert (one.test.targets == other.test.targets).all()


def test_leave_one_out__its_rows__are_those_of_the_platform(world: Dataset) -> None:
    task = protocols.task("leave-one-out", world)
    for split, last in ((task.test, 1), (task.validation, 2)):
        platform = leave_out(world, last=last, name="x")
        assert (split.targets == platform.targets).all()
        assert (split.contexts == platform.contexts).all()
    assert task.test.asked_at_s is None
    assert [len(h) for h in task.relearn] == [len(h) - 1 for h in world.histories]


def test_leave_one_out__viewers_of_one_and_two_titles__are_learned_from_not_validated() -> None:
    task = protocols.task(
        "leave-one-out", made({"one": [(1, 1)], "two": [(1, 1), (2, 2)], "three": [(1, 1), (2, 2), (3, 3)]})
    )
    assert task.viewers == ("two", "three")
    assert task.test.targets.tolist() == [2, 3]
    assert task.validation.targets.tolist() == [2]
    assert sorted(h.items.tolist() for h in task.learn) == [[1], [1], [1]]
    assert sorted(h.items.tolist() for h in task.relearn) == [[1], [1], [1, 2]]


def test_leave_one_out_timed__each_row__has_the_time_of_its_title(world: Dataset) -> None:
    task = protocols.task("leave-one-out-timed", world)
    assert task.test.asked_at_s is not None
    assert task.test.asked_at_s.tolist() == [history.at_s[-1] for history in world.histories]
    assert "request given" in task.words


@pytest.mark.parametrize("name", ["leave-one-out-timed", "global-time"])
def test_task__data_without_times__is_refused(name: str) -> None:
    with pytest.raises(NexusError, match="do not say when") as refused:
        protocols.task(name, made({"u": [(1, 0), (2, 0), (3, 0)]}, has_times=False))
    assert refused.value.value == name


def test_global_time__nobody_learns__from_what_came_after(world: Dataset) -> None:
    task = protocols.task("global-time", world)
    asked = task.test.asked_at_s
    assert asked is not None
    newest = max(h.at_s[-1] for h in task.relearn)
    assert newest < asked.min()
    validated = task.validation.asked_at_s
    assert validated is not None
    assert max(h.at_s[-1] for h in task.learn) < validated.min() <= validated.max() < asked.min()
    every = np.concatenate([h.at_s for h in world.histories])
    assert np.mean(every >= asked.min()) <= 0.1


def test_global_time__a_viewer_who_came_later__is_asked_with_what_is_known_then(world: Dataset) -> None:
    task = protocols.task("global-time", world)
    by_viewer = dict(zip(world.viewers, world.histories, strict=True))
    for viewer, history in zip(task.viewers, task.test.histories, strict=True):
        assert history.items.tolist() == by_viewer[viewer].items[:-1].tolist()


def test_strong_generalisation__tested_viewers__are_learned_from_nowhere(world: Dataset) -> None:
    task = protocols.task("strong-generalisation", world)
    by_viewer = dict(zip(world.viewers, world.histories, strict=True))
    tested = [by_viewer[viewer] for viewer in task.viewers]
    assert len(tested) == 4
    assert not any(_is_of(part, history) for part in task.relearn for history in tested)
    assert task.sets is not None
    for shown, targets in zip(task.sets.histories, task.sets.targets, strict=True):
        assert not set(shown.items) & set(targets)
        assert len(targets) == int(0.2 * (len(shown) + len(targets)))
        assert task.sets.candidates[targets].all()


def test_strong_generalisation__disliked_titles__do_not_count() -> None:
    low = crowd()
    half = tuple(replace_values(history, np.where(np.arange(len(history)) % 2, 0.5, 0.9)) for history in low.histories)
    task = protocols.task("strong-generalisation", replace(low, histories=half))
    assert {len(history) for history in task.learn} == {6}


def replace_values(history: History, values: np.ndarray) -> History:
    return History(history.items, values.astype(np.float32), history.at_s, history.context)


def test_held_out_titles__the_unseen__are_in_no_history(world: Dataset) -> None:
    task = protocols.task("held-out-titles", world)
    assert task.unseen is not None
    assert task.unseen.sum() == 3
    assert task.unseen[task.test.targets].all()
    for history in (*task.relearn, *task.test.histories, *task.learn, *task.validation.histories):
        assert not task.unseen[history.items].any()
    learned = np.zeros(world.size, dtype=bool)
    for history in task.learn:
        learned[history.items] = True
    assert not learned[task.validation.targets].any()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "walks", [{"u": [(1, 1)]}, {"u": [(1, 1)], "v": [(1, 2)]}, {"u": [(1, 1), (2, 2)]}], ids=["one", "one title", "two"]
)
def test_task__too_little_data__is_one_error(name: str, walks: dict[str, Walk]) -> None:
    with pytest.raises(NexusError) as refused:
        protocols.task(name, made(walks))
    assert refused.value.remedy


def test_named__unknown__names_all() -> None:
    with pytest.raises(NexusError) as refused:
        protocols.named("leave-two-out")
    assert all(name in str(refused.value.remedy) for name in ALL)


def _walks() -> st.SearchStrategy[dict[str, Walk]]:
    events = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 50)), min_size=1, max_size=15)
    return st.dictionaries(st.from_regex("[a-d][0-9]", fullmatch=True), events, min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(_walks(), st.sampled_from(ALL))
def test_task__any_data__is_a_lawful_task_or_one_error(walks: dict[str, Walk], name: str) -> None:
    try:
        task: Task | None = protocols.task(name, made(walks))
    except NexusError:
        task = None
    if task is None:
        return
    assert len(task.viewers) == len(task.test) > 0
    for history, target in zip(task.test.histories, task.test.targets, strict=True):
        assert len(history) > 0
        assert target not in history.items
    assert all(len(history) for history in (*task.learn, *task.relearn))
