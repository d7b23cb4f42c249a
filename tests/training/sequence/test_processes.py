"""Two processes that share every step come to what one comes to."""

import numpy as np
import pytest

from tests.training.sequence.worlds import tiny, walks
from training.config import Compute
from training.dataset import leave_out
from training.models_api import quiet
from training.sequence.model import SequenceModel

pytestmark = pytest.mark.slow


def test_fit__two_processes__learn_what_one_learns() -> None:
    data = walks()
    split = leave_out(data, last=2, name="validation")
    config = tiny(epochs=2, dropout=0.0)
    alone, together = (
        SequenceModel(config, compute=compute, threads=1).fit(
            data, split.histories, validation=split, seed=1, budget_s=120.0, tell=quiet
        )
        for compute in (Compute(), Compute(strategy="ddp", devices=2))
    )
    contexts = np.zeros((len(split), 1), np.float32)
    assert np.allclose(alone.scores(split.histories, contexts), together.scores(split.histories, contexts), atol=0.05)
    losses = [[point["loss"] for point in one.settings["curve"]] for one in (alone, together)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
