"""What people's data really look like: odd viewers, odd titles, odd numbers. A run of ``bin/nexus train`` says what is wrong, or copes.

Each recipe that trains in seconds meets the same small worlds, through the functions that the command runs.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.cli.main import main
from nexus.errors import NexusError
from training import dataset, evaluation, protocols, run, run_export
from training.bundle_format import read_bundle
from training.dataset import Dataset, History
from training.export import session
from training.files import reading
from training.models_api import TooLittleError, quiet
from training.recipes import registry
from training.run_export import OnnxScorer
from training.run_folder import claimed

QUICK = ("floors", "debug", "sequence-debug")
HYBRID = pytest.param("hybrid-debug", marks=pytest.mark.slow)
RECIPES = (*(pytest.param(name, marks=pytest.mark.integration) for name in QUICK), HYBRID)


def walks(viewers: int = 12, titles: int = 15, steps: int = 8) -> list[str]:
    """Viewers who walk through the titles in their order, from somewhere on."""
    starts = np.random.default_rng(0).integers(titles, size=viewers)
    return [
        f"v{viewer} t{(start + step) % titles} {1000 + 100 * viewer + step}"
        for viewer, start in enumerate(starts)
        for step in range(steps)
    ]


ODD = [
    "once t3 5000",  # one event
    *(f"again t{number % 15} {number}" for number in range(10_000)),  # 10,000 events, most of them seen before
    *(f"second t{number} 7000" for number in range(9)),  # all in one second
    *["twice t4 8000", "twice t4 8000", "twice t5 8000"],  # the same line twice
    "v3 only-here 9999",  # a title that nobody met before it is asked for
    "nan nan nan",
    "v1 t1 nan",
    "v1",
]


def loaded(lines: Sequence[str], folder: Path) -> reading.Loaded:
    path = folder / "plays.txt"
    path.write_text("\n".join(lines) + "\n")
    return reading.load_path(path)


def order(found: reading.Loaded, recipe: str, protocol: str = "leave-one-out") -> run.Order:
    task = protocols.named(protocol).make(found.dataset)
    return run.Order(registry.named(recipe), found, task, 0, "cpu", None)


def trained(ordered: run.Order, out: Path, said: list[str] | None = None) -> dict[str, Any]:
    with claimed(out, ordered.identity()) as folder:
        return run.run(ordered, folder, quiet if said is None else said.append)


def rows(out: Path) -> dict[str, tuple[str, int, int]]:
    with (out / "ranks.csv").open() as file:
        return {row["user"]: (row["item"], int(row["rank"]), int(row["candidates"])) for row in csv.DictReader(file)}


def all_finite(summary: dict[str, Any]) -> bool:
    return all(math.isfinite(value) for found in summary["candidates"].values() for value in found["metrics"].values())


@pytest.mark.parametrize("recipe", RECIPES)
def test_train__odd_viewers_titles_and_lines__are_ranked_like_others(recipe: str, tmp_path: Path) -> None:
    found = loaded([*walks(), *ODD], tmp_path)
    assert any("3 of " in note and "left out" in note for note in found.notes)
    summary = trained(order(found, recipe), tmp_path / "out")
    assert all_finite(summary)
    assert summary["onnx"]["equal_ranks"] >= 0.9
    ranks = rows(tmp_path / "out")
    assert "once" not in ranks  # nothing can be held out of one event
    assert ranks["again"][2] == found.dataset.size - 1 - 14
    assert ranks["v3"][0] == "only-here"
    assert all(1 <= rank <= candidates for _, rank, candidates in ranks.values())
    answers(tmp_path / "out", found.dataset.size)


def answers(out: Path, size: int) -> None:
    """The written model scores viewers with nothing, with one title, and with more than it looks at."""
    if "contributions" in json.loads((out / "bundle.json").read_text())["outputs"]:
        read_bundle(out)
    manifest = json.loads((out / "bundle.json").read_text())
    scorer = OnnxScorer(session(out / "model.onnx"), manifest["history_length"])
    for count in (0, 1, 10_000):
        items = np.arange(count, dtype=np.int64) % (size - 1) + 1
        history = History(items, np.ones(count, np.float32), np.arange(count, dtype=np.float64), np.zeros((count, 0)))
        assert np.isfinite(scorer.scores([history], np.zeros((1, 0), np.float32))[0, 1:]).all()


@pytest.mark.unit
@pytest.mark.parametrize("recipe", [*QUICK, "hybrid-debug", "default"])
@pytest.mark.parametrize(
    "lines",
    [["v t 1"], [f"v{number} t {number}" for number in range(12)], ["v t1 1", "v t2 2"], ["v1 t1 1", "v2 t2 2"]],
    ids=["one event", "one title", "one viewer of two titles", "nobody met two"],
)
def test_train__too_little_to_hold_anything_out__is_one_error_with_a_remedy(
    recipe: str, lines: list[str], tmp_path: Path
) -> None:
    with pytest.raises(NexusError, match="long enough to hold a title out") as refused:
        order(loaded(lines, tmp_path), recipe)
    assert refused.value.remedy


@pytest.mark.parametrize("recipe", RECIPES)
def test_train__one_viewer__is_trained_on(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_export, "write", lambda *_: {"equal_ranks": 1.0, "rows_checked": 0})
    found = loaded([f"v t{number} {number}" for number in range(12)], tmp_path)
    summary = trained(order(found, recipe), tmp_path / "out")
    assert all_finite(summary)
    assert rows(tmp_path / "out") == {"v": ("t11", 1, 1)}


@pytest.mark.integration
def test_train__histories_too_short_for_the_model__says_so_or_takes_the_best_floor(tmp_path: Path) -> None:
    found = loaded([f"v{viewer} t{step} {viewer + step}" for viewer in range(12) for step in range(3)], tmp_path)
    with pytest.raises(TooLittleError, match="long enough to learn an order") as refused:
        trained(order(found, "debug"), tmp_path / "debug")
    assert "floors" in str(refused.value.remedy)
    taken = run.Order(
        registry.Recipe("some", registry.named("debug").build, takes_best=True, is_quick=True),
        found,
        order(found, "floors").task,
        0,
        "cpu",
    )
    said: list[str] = []
    summary = trained(taken, tmp_path / "out", said)
    assert summary["model"] in summary["floors"]
    assert "attention" not in summary["candidates"]
    assert any("cannot be trained on these data" in line for line in said)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["floors", "debug", "sequence-debug"])
def test_train__a_viewer_of_ten_thousand_titles__is_ranked(recipe: str, tmp_path: Path) -> None:
    found = loaded([*walks(), *(f"long x{number} {number}" for number in range(10_000))], tmp_path)
    summary = trained(order(found, recipe), tmp_path / "out")
    assert all_finite(summary)
    assert rows(tmp_path / "out")["long"][2] == 16


@pytest.mark.unit
@given(st.permutations(range(24)))
def test_load__lines_of_one_second_in_any_order_between_viewers__change_nothing(places: list[int]) -> None:
    """The tie rule is the order of a viewer's own lines: that of other viewers' lines, and of other seconds, is none."""
    lines = [(f"v{number % 6}", f"t{number % 5}", number // 6 % 2) for number in range(24)]
    mixed = [lines[place] for place in places]
    own = {
        (viewer, second): iter([line for line in lines if line[::2] == (viewer, second)]) for viewer, _, second in lines
    }
    again = [next(own[viewer, second]) for viewer, _, second in mixed]
    assert table(again).data_hash == table(lines).data_hash


def table(lines: Sequence[tuple[str, str, int]], value: float | None = 4.0, **more: Any) -> Dataset:
    """Rows as :func:`reading.load_path` hands them to the arrays."""
    start = datetime(2020, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame(
        [(viewer, title, "rate", value, start + timedelta(seconds=second)) for viewer, title, second in lines],
        schema={
            "user_id": pl.String,
            "content_id": pl.String,
            "interaction_type": pl.String,
            "value": pl.Float64,
            "occurred_at": pl.Datetime("us", "UTC"),
        },
        orient="row",
    )
    names = sorted({title for _, title, _ in lines})
    facts = pl.DataFrame(
        {"content_id": names, "year": more.get("years", [2000.0] * len(names)), "genres": [["Drama"]] * len(names)}
    )
    context = more.get("context", {})
    return dataset.build(frame.with_columns(**context), facts, context_features=tuple(context))


@pytest.mark.unit
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, None], ids=str)
def test_build__features_that_are_no_numbers__count_as_not_known(number: float | None) -> None:
    lines = [("v", f"t{place}", place) for place in range(4)]
    odd = table(lines, number, context={"viewer_activity": pl.lit(number, pl.Float64)})
    known = table(lines, 0.0, context={"viewer_activity": pl.lit(0.0)})
    assert all((history.values == 0).all() and (history.context == 0).all() for history in odd.histories)
    assert odd.data_hash == known.data_hash


@pytest.mark.parametrize("recipe", [pytest.param("debug", marks=pytest.mark.integration), HYBRID])
def test_train__years_that_are_no_numbers__scores_are(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_export, "write", lambda *_: {"equal_ranks": 1.0, "rows_checked": 0})
    lines = [(viewer, title, int(second)) for viewer, title, second in map(str.split, walks())]
    years = [math.nan, None, 1990.0] * 5
    found = reading.Loaded(table(lines, math.nan, years=years, context={"viewer_activity": pl.lit(math.nan)}), "toy")
    assert all_finite(trained(order(found, recipe), tmp_path / "out"))


@pytest.mark.unit
def test_ranked__scores_that_are_no_numbers__come_last() -> None:
    scores = np.array([[0.0, math.nan, 0.5, 0.1], [0.0, math.inf, math.nan, math.nan]], np.float32)
    ranks, top = evaluation.ranked(scores, [np.array([3]), np.zeros(0, np.int64)], np.array([1, 2]))
    assert ranks.tolist() == [2, 3]
    assert top[0].tolist()[:1] == [2]


@pytest.mark.integration
@pytest.mark.parametrize("recipe", ["debug"])
def test_fit__ids_that_are_not_in_the_catalogue__cannot_be_asked_for(recipe: str, tmp_path: Path) -> None:
    """A list is asked for by index: names that the model does not know have none, and serving passes them over."""
    out = tmp_path / "out"
    found = loaded(walks(), tmp_path)
    trained(order(found, recipe), out)
    vocabulary = json.loads((out / "vocabulary.json").read_text())
    index = {name: place for place, name in enumerate(vocabulary)}
    watched = [index[name] for name in ("t1", "renamed", "t2", "") if index.get(name)]
    count = len(watched)
    history = History(np.array(watched), np.ones(count, np.float32), np.arange(count) * 1.0, np.zeros((count, 0)))
    scorer = OnnxScorer(session(out / "model.onnx"), json.loads((out / "bundle.json").read_text())["history_length"])
    scores = scorer.scores([history, history.until(0)], np.zeros((2, 0), np.float32))
    assert np.isfinite(scores[:, 1:]).all()
    assert index["t3"] == int(np.argsort(-scores[0, 1:])[0]) + 1


@pytest.mark.integration
def test_command__odd_files__end_in_figures_or_in_one_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text("\n".join([*walks(), *ODD]) + "\n")
    bad.write_text("v t 1\n")
    assert main(["train", "floors", "--data", str(good), "--out", str(tmp_path / "out"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["data"]["viewers"] == 12 + 4
    assert main(["train", "floors", "--data", str(bad), "--out", str(tmp_path / "bad")]) == 1
    error = capsys.readouterr().err
    assert "remedy: " in error
    assert "Traceback" not in error
