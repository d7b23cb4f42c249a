"""The projection of a bundle: learned from what the champion is counted from, and from the text vectors of its titles.

Belongs here: learning and packing it. Does not belong here: its form (training.content.served), where text vectors come from
(training.content.texts), the rest of the bundle (training.bundle).

Text vectors are no part of ``data_hash``: the champion is not made from them, and is rebuilt without them. The manifest names
them by a hash of their own; the same data and the same vectors give the same file, byte for byte.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from training.content import facts as facts_of
from training.content.config import ContentConfig
from training.content.describer import GENRES, TEXT, YEARS, Describer
from training.content.part import Setting, joined, rehearse
from training.content.served import Projection, Served
from training.content.space import Space, counted, space
from training.content.weights import KNOWN
from training.dataset import Dataset, Floats
from training.determinism import repeatable

REFERENCES = 512
"""Titles whose scores say what an ordinary title has; a quantile of so many is right to 0.02."""
SEED = 0


def projection(dataset: Dataset, vectors: Floats, config: ContentConfig | None = None, seed: int = SEED) -> Projection:
    """The projection over all histories of a dataset; the first penalty and the first query are taken.

    Args:
        dataset: Histories and facts of titles.
        vectors: Of texts about titles, ``[N+1, d]``; rows of zeros where nothing is known.
        config: Settings.
        seed: Which titles are hidden to learn the weights, which are drawn for reference.
    """
    chosen = ContentConfig() if config is None else config
    learn = [history for history in dataset.histories if len(history)]
    describer = facts_of.describer(dataset, chosen, vectors)
    facts = facts_of.described(dataset, describer, vectors)
    last, decay = chosen.queries[0]
    setting = rehearse(dataset, learn, chosen, seed).setting(facts, chosen, chosen.ridges[0], last, decay)
    told = counted(learn, dataset.size, chosen)
    return _packed(space(told, facts, setting.ridge), setting, describer, told.popularity > 0, seed)


def write(dataset: Dataset, vectors: Floats, path: Path) -> str:
    """Learn the projection and write it, the same bytes however many threads there are.

    Returns:
        The hash that the manifest names the vectors by.
    """
    with repeatable(SEED, threads=1):
        projection(dataset, vectors).write(path)
    return hash_of(vectors)


def hash_of(vectors: Floats) -> str:
    """What names text vectors, in 16 digits."""
    return hashlib.sha256(np.ascontiguousarray(vectors, dtype="<f4").tobytes()).hexdigest()[:16]


def _packed(found: Space, setting: Setting, describer: Describer, met: np.ndarray, seed: int) -> Projection:
    of, titles = setting.weights.of, np.flatnonzero(met)
    fitted = joined(found, setting)
    assert fitted.ease is not None  # noqa: S101 (made by joined)
    left = fitted.ease.left[titles]
    scale = np.maximum(np.abs(left).max(axis=1, initial=0.0), np.float32(1e-12))
    own = np.zeros(describer.width, np.float32)
    for name in (GENRES, YEARS, TEXT):
        if name in describer.blocks:
            own[describer.blocks[name]] = of.get(name, 0.0)
    drawn = np.random.default_rng(seed).permutation(titles)[:REFERENCES]
    return Projection(
        Served(genres=describer.genres, years_width=describer.years_width, last=setting.last, decay=setting.decay),
        {
            "titles": titles.astype(np.int64),
            "left": (left / scale[:, None]).astype(np.float16),
            "scale": scale.astype(np.float32),
            "own": own,
            "popular": np.float32(of.get(KNOWN, 0.0)) * found.of_fact,
            "reference": found.facts.rows[np.sort(drawn)].astype(np.float16),
            "mean": describer.mean.astype(np.float32),
            "axes": describer.axes.astype(np.float32),
        },
    )
