"""Small data and small networks for the tests of the sequence model."""

from __future__ import annotations

import numpy as np

from training.dataset import Dataset, History
from training.sequence.config import SequenceConfig


def history(*items: int, start_s: float = 0.0, step_s: float = 3600.0) -> History:
    count = len(items)
    return History(
        np.array(items, dtype=np.int64),
        np.ones(count, np.float32),
        start_s + step_s * np.arange(count),
        np.zeros((count, 1), np.float32),
    )


def tiny(**values: object) -> SequenceConfig:
    """A network of a few thousand weights."""
    return SequenceConfig(
        **{  # type: ignore[arg-type]
            "width": 16,
            "heads": 2,
            "layers": 2,
            "length": 8,
            "epochs": 6,
            "batch_tokens": 64,
            "lr": 1e-2,
            "average": 0.9,
            **values,
        }
    )


def walks(viewers: int = 40, titles: int = 20, steps: int = 12, *, seed: int = 3) -> Dataset:
    """Viewers who walk through the titles in their order, from somewhere on."""
    random = np.random.default_rng(seed)
    starts = random.integers(0, titles, viewers)
    histories = tuple(history(*((first + np.arange(steps)) % titles + 1)) for first in starts)
    return Dataset(
        vocabulary=("", *(f"t{number}" for number in range(1, titles + 1))),
        viewers=tuple(f"u{number}" for number in range(viewers)),
        histories=histories,
        years=np.full(titles + 1, np.nan, np.float32),
        genres=((),) * (titles + 1),
        context_features=("activity",),
        data_hash="walks",
    )
