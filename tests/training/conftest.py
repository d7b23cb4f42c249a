"""A toy world: two clusters of titles that viewers walk through in order, so that transitions are worth learning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from training import dataset
from training.config import RecommenderConfig, debug
from training.dataset import Dataset

CONTEXT = ("viewer_activity", "viewer_tenure")


def toy(viewers: int = 40, titles: int = 30, seed: int = 3, shuffle: bool = False) -> Dataset:
    random = np.random.default_rng(seed)
    start = datetime(2020, 1, 1, tzinfo=UTC)
    rows = []
    for viewer in range(viewers):
        first = int(random.integers(0, titles))
        walk = [(first + step) % titles for step in range(12)]
        if shuffle:
            random.shuffle(walk)
        for step, title in enumerate(walk):
            rows.append((f"u{viewer:03}", f"t{title:03}", "rate", 4.0, start + timedelta(hours=step), 0.5, 0.1))
    interactions = pl.DataFrame(
        rows, schema=["user_id", "content_id", "interaction_type", "value", "occurred_at", *CONTEXT], orient="row"
    )
    catalogue = pl.DataFrame(
        {
            "content_id": [f"t{number:03}" for number in range(titles)],
            "year": [1990 + number % 3 for number in range(titles)],
            "genres": [["Drama"] if number % 2 else ["Comedy", "War"] for number in range(titles)],
        }
    )
    return dataset.build(interactions, catalogue, context_features=CONTEXT)


@pytest.fixture(scope="session")
def world() -> Dataset:
    return toy()


@pytest.fixture(scope="session")
def config() -> RecommenderConfig:
    return debug()
