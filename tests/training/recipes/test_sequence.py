"""The sequence recipes: listed, buildable, the debug one with its golden loss."""

import pytest

from tests.training.sequence.worlds import walks
from training.dataset import leave_out
from training.models_api import quiet
from training.recipes import registry
from training.recipes.sequence import VALUES
from training.sequence.model import SequenceModel

pytestmark = pytest.mark.unit


def test_registry__sequence_recipes__are_listed_once() -> None:
    listed = [line.name for line in registry.RECIPES if line.name.startswith("sequence-")]
    assert sorted(listed) == sorted(VALUES)


@pytest.mark.parametrize("name", sorted(VALUES))
def test_recipe__of_each_name__builds_its_model(name: str) -> None:
    recipe = registry.named(name)
    assert recipe.build is not None
    model = recipe.build()
    assert isinstance(model, SequenceModel)
    assert recipe.values == model.config.model_dump()
    assert model.config.build(50).titles.weight.shape == (50, model.config.width)


def test_sequence_debug__walks__gives_the_golden_loss() -> None:
    data = walks()
    split = leave_out(data, last=2, name="validation")
    build = registry.named("sequence-debug").build
    assert build is not None
    scorer = build().fit(data, split.histories, validation=split, seed=1, budget_s=60.0, tell=quiet)
    losses = [point["loss"] for point in scorer.settings["curve"]]  # type: ignore[attr-defined]
    assert losses == pytest.approx([10.788, 9.766, 8.248, 6.632, 5.7, 5.147], rel=0.02)
