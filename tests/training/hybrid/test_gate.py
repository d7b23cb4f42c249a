"""The gate: taken where weights should depend on the viewer, left out where not; the same in the graph and after it was kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training import protocols
from training.dataset import Dataset
from training.export import real_inputs, session
from training.hybrid import gate, selection, stored
from training.hybrid.config import HybridConfig
from training.hybrid.features import Examples
from training.hybrid.fitted import FittedHybrid
from training.hybrid.gate import FAR, Gate
from training.hybrid.model import HybridModel
from training.models_api import quiet
from training.recipes.hybrid import VALUES

pytestmark = pytest.mark.unit
CONFIG = HybridConfig(mixture=None, sequence=None)
COUNTS = VALUES["hybrid-debug"].model_copy(update={"mixture": None, "sequence": None})


def examples(*, is_told_by: int | None, facts: int = 2, count: int = 800) -> Examples:
    """Two parts; one fact says which of them knows what comes next, or none does."""
    random = np.random.default_rng(4)
    z = random.standard_normal((count, 40, 2)).astype(np.float32)
    known = random.standard_normal((count, facts)).astype(np.float32)
    side = np.zeros(count) if is_told_by is None else known[:, is_told_by]
    weights = 2.0 + 1.6 * np.stack([np.clip(side, -1, 1), -np.clip(side, -1, 1)], axis=1)
    best = (np.einsum("esp,ep->es", z, weights) + random.gumbel(size=(count, 40))).argmax(axis=1)
    rows = np.arange(count)
    z[rows, 0], z[rows, best] = z[rows, best].copy(), z[rows, 0].copy()
    return Examples(z, np.zeros((count, 40), np.float32), known)


def test_chosen__a_feature_tells_whom_to_believe__a_gate_over_it_is_taken_and_ranks_better() -> None:
    found = selection.chosen(examples(is_told_by=1), ["a", "b"], CONFIG, seed=0)
    assert found.gate is not None
    assert found.steps[-1].part == selection.GATES[1]
    assert found.steps[-1].gain > CONFIG.errors * found.steps[-1].error
    first, second = found.gate.slopes[1]
    assert first * second < 0
    assert abs(first) > 3 * np.abs(found.gate.slopes[0]).max()
    assert len(np.unique(found.unbiased, axis=0)) > CONFIG.folds


def test_chosen__the_length_tells_whom_to_believe__it_is_enough() -> None:
    found = selection.chosen(examples(is_told_by=0, facts=1), ["a", "b"], CONFIG, seed=0)
    assert found.gate is not None
    assert [step.part for step in found.tried] == [selection.GATES[0]]
    assert found.gate.slopes.shape == (1, 2)


@pytest.mark.parametrize("config", [CONFIG, CONFIG.model_copy(update={"has_gate": False})], ids=["noise", "off"])
def test_chosen__facts_say_nothing_or_nobody_asks__weights_are_fixed(config: HybridConfig) -> None:
    found = selection.chosen(examples(is_told_by=None), ["a", "b"], config, seed=0)
    assert found.gate is None
    assert len(found.tried) == (2 if config.has_gate else 0)
    assert len(np.unique(found.unbiased, axis=0)) == config.folds


def test_weights__facts_far_out_missing_or_constant__stay_within_what_was_learned() -> None:
    made = Gate(np.array([1.0, 0.0], np.float32), np.array([2.0, 0.0], np.float32), np.ones((2, 3), np.float32))
    base = np.zeros(3, np.float32)
    found = made.weights(base, np.array([[1e9, 5.0], [-1e9, 5.0], [np.nan, 5.0], [1.0, -3.0]], np.float32))
    assert found[:, 0].tolist() == [FAR, -FAR, 0.0, 0.0]


@pytest.fixture(scope="module")
def gated(world: Dataset) -> FittedHybrid:
    task = protocols.task("leave-one-out", world)
    hybrid = HybridModel(COUNTS).fit(world, task.learn, validation=task.validation, seed=0, budget_s=60.0, tell=quiet)
    every = hybrid.every_part(task.relearn)
    facts = gate.facts(task.test.histories, task.test.contexts, hybrid.history_length)
    slopes = np.random.default_rng(1).standard_normal((facts.shape[1], len(every))).astype(np.float32)
    made = Gate(facts.mean(axis=0) - 1.0, np.full(facts.shape[1], 0.5, np.float32), slopes)
    return replace(hybrid, parts=every, weights=np.ones(len(every), np.float32), gate=made)


def test_export__with_a_gate__says_what_the_scorer_says_and_shares_add_up(
    world: Dataset, gated: FittedHybrid, tmp_path: Path
) -> None:
    task = protocols.task("leave-one-out", world)
    made = gated.export(world, tmp_path / "model.onnx")
    inputs = real_inputs(world, task.test.histories, gated.history_length)
    inputs["context"] = task.test.contexts.astype(np.float32)
    (scores,) = session(made.path).run(["scores"], inputs)
    wanted = gated.scores(task.test.histories, task.test.contexts)
    fixed = replace(gated, gate=None).scores(task.test.histories, task.test.contexts)
    assert np.allclose(scores[:, 1:], wanted[:, 1:], atol=2e-3)
    assert not np.allclose(fixed, wanted, atol=0.1)


def test_restored__with_a_gate__scores_the_same(world: Dataset, gated: FittedHybrid) -> None:
    task = protocols.task("leave-one-out", world)
    kept = stored.restored(
        world, COUNTS, stored.facts_of(gated), stored.state_of(gated), world.vocabulary, task.relearn
    )
    assert kept.gate is not None
    given = task.test.histories, task.test.contexts
    assert np.allclose(kept.scores(*given), gated.scores(*given), atol=1e-5)
