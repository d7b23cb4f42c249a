"""What Lightning is told to train on, and that several processes come to a working model."""

from __future__ import annotations

import pytest

from nexus.settings import TrainingSettings
from tests.marks import exhaustive
from training import recommender
from training.config import CPU, Compute, debug
from training.dataset import Dataset


@pytest.mark.unit
def test_compute__of_settings__tells_the_trainer_what_was_chosen() -> None:
    area = TrainingSettings(accelerator="gpu", devices=2, precision="bf16-mixed")
    arguments = Compute.of(area).trainer_arguments()
    assert arguments == {"accelerator": "gpu", "strategy": "auto", "devices": 2, "precision": "bf16-mixed"}
    assert Compute.of(TrainingSettings()) == CPU


@pytest.mark.slow
@exhaustive
def test_train__two_processes__learn_what_one_learns(world: Dataset) -> None:
    prepared = recommender.prepare(world, debug())
    alone = recommender.train(prepared, seed=1, max_seconds=60)
    together = recommender.train(prepared, seed=1, max_seconds=120, compute=Compute(strategy="ddp", devices=2))
    epochs = debug().mixture_epochs + debug().attention_epochs
    assert len(together.curve) == len(alone.curve) == epochs + 1
    untrained, best = together.curve[0], together.curve[together.best_epoch]
    # Both begin with the same network; what several processes kept is what their curve says it is.
    assert untrained["validation_ndcg_10"] == pytest.approx(alone.curve[0]["validation_ndcg_10"], abs=1e-6)
    assert together.validation.ndcg_10.mean() == pytest.approx(best["validation_ndcg_10"], abs=1e-6)
    assert together.curve[debug().mixture_epochs]["loss"] < together.curve[1]["loss"]
    assert {str(value.device) for value in together.weigher.state_dict().values()} == {"cpu"}
