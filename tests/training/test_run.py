"""A run of ``bin/nexus train``: its files, going on after an interruption, folders that belong to somebody else."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nexus.cli.main import main
from nexus.errors import Category, NexusError
from training import protocols, run
from training.bundle_format import read_bundle
from training.dataset import Dataset, Floats, History, Split
from training.evaluation import evaluate
from training.export import session
from training.files.reading import Loaded
from training.floor_models import FLOORS
from training.models_api import Tell
from training.recipes import registry
from training.recipes.registry import Recipe
from training.run_export import OnnxScorer
from training.run_folder import claimed

pytestmark = pytest.mark.integration

METRICS = {"hr@10", "ndcg@10", "mrr", "coverage@10", "hr@10_debiased", "popularity@10"}


class Knows:
    """Ranks the title after the newest first; without an ONNX form. Interrupted as often as it is told."""

    name = "knows"

    def __init__(self, interruptions: list[int]) -> None:
        self.interruptions = interruptions

    def fit(
        self,
        dataset: Dataset,
        learn: Sequence[History],  # noqa: ARG002
        *,
        validation: Split | None,  # noqa: ARG002
        seed: int,  # noqa: ARG002
        budget_s: float,  # noqa: ARG002
        tell: Tell,  # noqa: ARG002
    ) -> "Knows":
        if self.interruptions:
            self.interruptions.pop()
            raise KeyboardInterrupt
        self.size = dataset.size
        return self

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:  # noqa: ARG002
        rows = np.zeros((len(histories), self.size), np.float32)
        for row, history in enumerate(histories):
            rows[row, history.items[-1] % (self.size - 1) + 1] = 1.0
        return rows


def order(world: Dataset, recipe: Recipe, seed: int = 0) -> run.Order:
    return run.Order(recipe, Loaded(world, "toy", ("a note",)), protocols.task("leave-one-out", world), seed, "cpu")


def done(ordered: run.Order, out: Path, said: list[str] | None = None) -> dict[str, object]:
    with claimed(out, ordered.identity()) as folder:
        return run.run(ordered, folder, (said if said is not None else []).append)


def test_run__floors__writes_the_files_of_the_contract(world: Dataset, tmp_path: Path) -> None:
    summary = done(order(world, registry.named("floors")), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == json.loads(json.dumps(summary))
    assert {"recipe", "protocol", "data_hash", "seed", "device", "seconds", "metrics", "floors"} <= set(summary)
    assert summary["model"] == "transitions"
    assert set(summary["floors"]) == set(FLOORS)
    assert all(set(figures) >= METRICS for figures in (summary["metrics"], *summary["floors"].values()))
    with (tmp_path / "out" / "ranks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["user", "item", "rank", "candidates"]
    assert [row["user"] for row in rows] == list(world.viewers)
    assert [row["item"] for row in rows] == [world.vocabulary[history.items[-1]] for history in world.histories]
    assert {int(row["candidates"]) for row in rows} == {world.size - 1 - 11}
    assert np.mean([int(row["rank"]) <= 10 for row in rows]) == summary["metrics"]["hr@10"]
    bundle = read_bundle(tmp_path / "out")
    assert bundle.manifest.protocol == summary["words"]
    assert bundle.manifest.kind == "transitions"


def test_run__the_onnx_file__ranks_as_was_measured(world: Dataset, tmp_path: Path) -> None:
    ordered = order(world, registry.named("debug"))
    summary = done(ordered, tmp_path / "out")
    assert summary["onnx"]["equal_ranks"] > 0.9
    bundle = read_bundle(tmp_path / "out")
    scorer = OnnxScorer(session(bundle.model_path), bundle.manifest.history_length)
    assert bundle.vocabulary == world.vocabulary
    again = evaluate(scorer, ordered.task.test, world.size).ndcg_10.mean()
    assert again == pytest.approx(summary["metrics"]["ndcg@10"], abs=0.02)


def test_run__interrupted__goes_on_and_comes_to_the_same(world: Dataset, tmp_path: Path) -> None:
    recipe = Recipe("knows", lambda: Knows([]))
    whole = done(order(world, recipe), tmp_path / "whole")
    times = [0]
    stopped = order(world, replace(recipe, build=lambda: Knows(times)))
    with pytest.raises(KeyboardInterrupt):
        done(stopped, tmp_path / "out")
    assert not (tmp_path / "out" / "summary.json").exists()
    said: list[str] = []
    resumed = done(stopped, tmp_path / "out", said)
    assert sum("kept from the interrupted run" in line for line in said) == len(FLOORS)
    assert resumed["metrics"] == whole["metrics"]
    assert resumed["floors"] == whole["floors"]
    assert (tmp_path / "out" / "ranks.csv").read_text() == (tmp_path / "whole" / "ranks.csv").read_text()
    assert resumed["onnx"] is None


def test_run__finished__is_not_repeated(world: Dataset, tmp_path: Path) -> None:
    recipe = Recipe("knows", lambda: Knows([]))
    first = done(order(world, recipe), tmp_path / "out")
    said: list[str] = []
    assert done(
        order(world, replace(recipe, build=lambda: pytest.fail("trained again"))), tmp_path / "out", said
    ) == json.loads(json.dumps(first))
    assert said == ["this run is finished already: nothing to do"]


def test_run__model_worse_than_a_floor__the_floor_is_taken_where_the_recipe_says_so(
    world: Dataset, tmp_path: Path
) -> None:
    class Constant(Knows):
        name = "constant"

        def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:  # noqa: ARG002
            return np.zeros((len(histories), self.size), np.float32)

    stays = done(order(world, Recipe("a", lambda: Constant([]))), tmp_path / "a")
    gives_way = done(order(world, Recipe("b", lambda: Constant([]), takes_best=True)), tmp_path / "b")
    assert (stays["model"], gives_way["model"]) == ("constant", "transitions")
    assert gives_way["metrics"] == gives_way["floors"]["transitions"]


def test_claimed__another_order__names_what_differs(world: Dataset, tmp_path: Path) -> None:
    recipe = Recipe("knows", lambda: Knows([]))
    with claimed(tmp_path / "out", order(world, recipe).identity()):
        pass
    with (
        pytest.raises(NexusError, match="seed 0 instead of 1") as refused,
        claimed(tmp_path / "out", order(world, recipe, 1).identity()),
    ):
        pass
    assert refused.value.category is Category.CONFLICT


def test_claimed__somebody_elses_folder__is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(NexusError, match=r"something else \(thesis.txt\)"), claimed(tmp_path, {}):
        pass
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.txt"]


def test_claimed__a_second_process__is_refused(tmp_path: Path) -> None:
    with (
        claimed(tmp_path / "out", {}),
        pytest.raises(NexusError, match="another process"),
        claimed(tmp_path / "out", {}),
    ):
        pass


def test_claimed__a_file_in_the_way__is_one_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(NexusError, match="cannot be used"), claimed(tmp_path / "out", {}):
        pass


def _plays(path: Path, viewers: int = 12) -> Path:
    random = np.random.default_rng(0)
    lines = [
        f"v{viewer} t{(start + step) % 15}\n"
        for viewer in range(viewers)
        for start in [random.integers(15)]
        for step in range(8)
    ]
    path.write_text("".join(lines))
    return path


def test_train__debug_on_a_plain_file__prints_the_table_and_leaves_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = _plays(tmp_path / "plays.txt")
    out = tmp_path / "out"
    assert main(["train", "debug", "--data", str(data), "--out", str(out), "--device", "cpu", "--seed", "3"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    for words in ("transitions", "item-knn", "protocol: leave-one-out", "seed 3", "plays.txt: 12 viewers"):
        assert words in said.out
    assert {"summary.json", "ranks.csv", "model.onnx", "vocabulary.json", "bundle.json"} <= {
        f.name for f in out.iterdir()
    }
    assert (
        main(["train", "debug", "--data", str(data), "--out", str(out), "--device", "cpu", "--seed", "3", "--json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["seed"] == 3


def test_train__list__explains_every_recipe_and_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--list"]) == 0
    said = capsys.readouterr().out
    assert all(recipe.name in said and recipe.words in said for recipe in registry.RECIPES)
    assert all(protocol.name in said for protocol in protocols.PROTOCOLS)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ([], "RECIPE"),
        (["default"], "--data"),
        (["default", "--data", "nothing_there"], "--out"),
        (["default", "--data", "nothing_there", "--out", "OUT"], "--data"),
        (["perfect", "--data", "nothing_there", "--out", "OUT"], "RECIPE"),
        (["default", "--data", "DATA", "--out", "OUT", "--protocol", "leave-two-out"], "--protocol"),
        (["default", "--data", "DATA", "--out", "OUT", "--protocol", "global-time"], "--protocol"),
        (["default", "--data", "DATA", "--out", "DATA"], "--out"),
    ],
    ids=str,
)
def test_train__wrong_words__are_one_error_with_a_remedy(
    arguments: list[str], field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = {"DATA": str(_plays(tmp_path / "plays.txt")), "OUT": str(tmp_path / "out")}
    assert main(["train", *(there.get(word, word) for word in arguments)]) in {1, 2}
    said = capsys.readouterr().err
    assert f"field: {field}" in said
    assert "remedy: " in said
    assert "Traceback" not in said


def test_train__interrupted__says_so_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(name: str) -> Recipe:
        return Recipe(name, lambda: Knows([0]))

    monkeypatch.setattr(registry, "named", stopped)
    out = tmp_path / "out"
    assert main(["train", "any", "--data", str(_plays(tmp_path / "plays.txt")), "--out", str(out)]) == 130
    said = capsys.readouterr().err
    assert said.startswith("interrupted: what is done is kept in")
    assert said.count("\n") == 1


def test_recipes__every_listed_one__is_built_under_its_name() -> None:
    for listed in registry.RECIPES:
        recipe = registry.named(listed.name)
        assert recipe.name == listed.name
        json.dumps(recipe.values)
        if recipe.build is not None:
            assert recipe.build().name
