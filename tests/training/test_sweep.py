"""Sweeps over a real MLflow store: what is known is not trained again, the budget ends it with a word, the table compares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from pydantic import BaseModel, Field

from nexus.errors import NexusError
from nexus.settings import MlflowSettings, Settings
from training import run, sweep, tables
from training.dataset import Dataset, Floats, History
from training.files.reading import Loaded
from training.models_api import quiet
from training.recipes import registry as recipes
from training.recipes.registry import Recipe
from training.recipes.values import with_values

pytestmark = pytest.mark.integration


class Values(BaseModel):
    width: int = Field(1, ge=1, le=9)


@dataclass
class Steps:
    """Ranks the titles after the newest first; without an ONNX form."""

    config: Values
    name: str = "steps"

    def fit(self, dataset: Dataset, learn: Sequence[History], **_: object) -> Steps:  # noqa: ARG002
        self.size = dataset.size
        return self

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:  # noqa: ARG002
        rows = np.zeros((len(histories), self.size), np.float32)
        for row, history in enumerate(histories):
            rows[row, (history.items[-1] + self.config.width - 1) % (self.size - 1) + 1] = 1.0
        return rows


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the recipes that were trained; each run takes ten seconds of the sweep's clock."""
    done: list[str] = []
    plain = run.run

    def noted(order: run.Order, *rest: object) -> dict[str, object]:
        done.append(f"{order.recipe.name} {order.recipe.values.get('width')} {order.seed}")
        return plain(order, *rest)  # type: ignore[arg-type]

    def named(name: str) -> Recipe:
        return Recipe(name, lambda: Steps(Values()), Values().model_dump(), is_quick=True)  # type: ignore[arg-type,return-value]

    monkeypatch.setattr(run, "run", noted)
    monkeypatch.setattr(recipes, "named", named)
    return done


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    import mlflow

    home = tmp_path_factory.mktemp("home")
    url = f"sqlite:///{home}/mlflow.db"
    client = mlflow.MlflowClient(url, registry_uri=url)
    client.create_experiment("sweeps", artifact_location=(home / "artifacts").as_uri())
    yield Settings(home=home, mlflow=MlflowSettings(url=url))
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


def swept(settings: Settings, world: Dataset, trained: list[str], **words: object) -> sweep.Sweep:
    wanted = sweep.Wanted(**{"recipes": ["small"], "seeds": [1, 2], **words})  # type: ignore[arg-type]
    return sweep.sweep(
        settings,
        Loaded(world, "toy"),
        wanted,
        folder=settings.home / "sweeps",
        tell=quiet,
        clock=lambda: 10.0 * len(trained),
    )


def test_sweep__budget_spent__stops_with_a_word_and_goes_on_the_next_time(
    settings: Settings, world: Dataset, trained: list[str]
) -> None:
    variants = [{}, {"width": 2}]
    first = swept(settings, world, trained, overrides=variants, budget_s=25.0)
    assert trained == ["small 1 1", "small 1 2"]
    assert first.left == 2
    assert "2 left, since" in first.words
    assert "run it again" in first.words
    second = swept(settings, world, trained, overrides=variants, budget_s=600.0)
    assert trained[2:] == ["small 2 1", "small 2 2"]
    assert second.left == 0
    assert "2 runs trained, 2 known from before: the sweep is complete" in second.words
    third = swept(settings, world, trained, overrides=variants)
    assert len(trained) == 4
    assert [one.metrics for one in third.done] == [pytest.approx(one.metrics) for one in second.done]


def test_sweep__no_budget_at_all__trains_nothing(settings: Settings, world: Dataset, trained: list[str]) -> None:
    assert swept(settings, world, trained, recipes=["none"], budget_s=0.0).left == 2
    assert trained == []


def test_of_sweep__two_variants__gives_mean_and_spread_best_first(
    settings: Settings, world: Dataset, trained: list[str]
) -> None:
    found = swept(settings, world, trained, recipes=["big"], overrides=[{"width": 3}, {}])
    lines = tables.of_sweep(found).splitlines()
    assert lines[0].startswith("| variant | seeds |")
    assert lines[2].startswith("| big | 2 |")
    assert lines[3].startswith("| big width=3 | 2 |")
    assert "±" in lines[2]
    assert world.data_hash in lines[5]


@pytest.mark.parametrize(("values", "words"), [({"depth": 2}, "no value depth"), ({"width": 99}, "less than or equal")])
def test_with_values__that_the_recipe_has_not__are_refused(
    values: dict[str, object], words: str, trained: list[str]
) -> None:
    assert trained == []
    with pytest.raises(NexusError, match=words):
        with_values(recipes.named("small"), values).build()  # type: ignore[misc]


def test_with_values__real_recipes__build_with_them() -> None:
    changed = with_values(recipes.named("sequence-debug"), {"epochs": 2})
    assert changed.values["epochs"] == 2
    assert changed.build is not None
    assert changed.build().config.epochs == 2
    with pytest.raises(NexusError, match="no value epochs"):
        with_values(recipes.named("floors"), {"epochs": 2})
