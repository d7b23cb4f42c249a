"""What the API does for titles that its model has not met, judged on titles that are held out.

    .venv/bin/python -m benchmarks.title_vectors ml-latest-small vectors.npz
    .venv/bin/python -m benchmarks.new_titles --data ml-latest-small --vectors vectors.npz [--seeds 1 2 3]

Protocol ``held-out-titles`` (training.held_out): the titles are in nothing that is learned from, not even in the catalogue of the
training. The projection is made, written and read as a bundle's is, the library is the API's, each viewer has the history of
the test, and ``rungs.new_titles`` is asked for all new titles. A title that a rule does not show counts as not found. Beside it, in
the same run and on the same viewers: likeness of text, as bundles without a projection are served. ``--validation`` judges on the
titles for choices, from which the floor was chosen.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import numpy as np
from threadpoolctl import threadpool_limits

from serving.content.catalogue import Catalogue, Title
from serving.content.vectors import Vectors
from serving.recommendations import rungs
from serving.recommendations.library import Library
from serving.recommendations.newcomers import FLOOR, Newcomers
from serving.viewers.viewer import Entry, Viewer
from training import protocols
from training.bundle_format import CONTENT_FILE
from training.content import bundled
from training.content.served import Projection
from training.content.vectors import TextVectors
from training.dataset import Dataset, Floats, History, Split
from training.files.reading import load_path

FLOORS = (0.0, FLOOR)
BANDS = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.01)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--validation", action="store_true")
    given = parser.parse_args()
    data = load_path(given.data).dataset
    task = protocols.task("held-out-titles", data)
    assert task.unseen is not None
    vectors = TextVectors.read(given.vectors).of(data)
    if given.validation:
        learn, split, new = task.learn, task.validation, _unmet(data, task.learn) & ~task.unseen
    else:
        learn, split, new = task.relearn, task.test, task.unseen
    assert split is not None
    world = World(data, vectors, new, ~task.unseen if given.validation else np.ones(data.size, bool))
    with threadpool_limits(
        1
    ):  # one request is one thread's work; two threads of BLAS wait for each other on a busy machine
        found = compared(world, learn, split, given.seeds)
    facts = {
        "protocol": task.words,
        "data_hash": data.data_hash,
        "judged_on": "titles for choices" if given.validation else "test titles",
        "viewers": len(split),
        "new_titles": int(new.sum()),
    }
    print(json.dumps(facts | found, indent=1))


def compared(world: World, learn: Sequence[History], split: Split, seeds: Sequence[int]) -> dict[str, Any]:
    """Both rules."""
    library = world.library(None)
    found: dict[str, Any] = {
        "text": judged(library, split, world.data),
        "text, any likeness": judged(library, split, world.data, similarity=-1.0),
        "projection": {},
        "served_floor": FLOOR,
    }
    for seed in seeds:
        projection, cost = world.projection(learn, seed)
        library = world.library(projection)
        by_floor = {str(floor): judged(library, split, world.data, floor=floor) for floor in FLOORS}
        found["projection"][str(seed)] = cost | {"by_floor": by_floor, "lift": lifts(library, split, world.data)}
    return found


def lifts(library: Library, split: Split, data: Dataset) -> dict[str, float]:
    """How much more often than a new title at large the viewer's own one scores between two shares of ordinary titles."""
    newcomers = library.newcomers
    assert newcomers is not None
    of_titles, of_targets = np.zeros(len(BANDS) - 1), np.zeros(len(BANDS) - 1)
    rows = {name: row for row, name in enumerate(newcomers.content_ids)}
    for history, target in zip(split.histories, split.targets.tolist(), strict=True):
        asking = newcomers.asking(viewer_of(history, data))
        if asking is not None:
            scores, ordinary = newcomers.compared(asking)
            band = np.searchsorted(BANDS, np.searchsorted(np.sort(ordinary), scores) / len(ordinary), "right") - 1
            of_titles += np.bincount(band, minlength=len(of_titles))
            of_targets[band[rows[data.vocabulary[target]]]] += 1
    lift = (of_targets / of_targets.sum()) / (of_titles / of_titles.sum())
    return {f"{low}-{high}": float(value) for low, high, value in zip(BANDS, BANDS[1:], lift, strict=False)}


def _unmet(data: Dataset, learn: Sequence[History]) -> np.ndarray:
    met = np.zeros(data.size, bool)
    met[np.concatenate([history.items for history in learn])] = True
    met[0] = True
    return ~met


class World:
    """The titles of an installation, of which some are new."""

    def __init__(self, data: Dataset, vectors: Floats, new: np.ndarray, there: np.ndarray) -> None:
        self.data, self.vectors, self.new, self.there = data, vectors, new, there
        self.old = np.flatnonzero(there & ~new)  # the padding is the first
        names = data.vocabulary
        self.catalogue = Catalogue(
            Title(names[n], names[n], year=_year(data.years[n]), genres=data.genres[n])
            for n in np.flatnonzero(there).tolist()
            if n
        )
        known = [n for n in np.flatnonzero(there).tolist() if n and vectors[n].any()]
        self.texts = Vectors([names[n] for n in known], vectors[known])

    def projection(self, learn: Sequence[History], seed: int) -> tuple[Projection, dict[str, float]]:
        """As a bundle has it, and what it costs."""
        place = np.full(self.data.size, -1)
        place[self.old] = np.arange(len(self.old))
        moved = [History(place[h.items], h.values, h.at_s, h.context) for h in learn]
        assert all((history.items > 0).all() for history in moved)
        smaller = replace(
            self.data,
            vocabulary=tuple(self.data.vocabulary[n] for n in self.old),
            histories=tuple(moved),
            years=self.data.years[self.old],
            genres=tuple(self.data.genres[n] for n in self.old),
        )
        started = time.perf_counter()
        made = bundled.projection(smaller, self.vectors[self.old], seed=seed)
        seconds = time.perf_counter() - started
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / CONTENT_FILE
            made.write(path)
            return Projection.read(path, len(self.old)), {"made_s": seconds, "size_bytes": path.stat().st_size}

    def library(self, projection: Projection | None) -> Library:
        """The library with a champion that knows all titles but the new ones."""
        vocabulary = tuple(self.data.vocabulary[n] for n in self.old)
        index = {name: position for position, name in enumerate(vocabulary) if position}
        champion: Any = SimpleNamespace(vocabulary=vocabulary, index=index, content=projection)
        return Library(self.catalogue, self.texts, champion)


def _year(value: float) -> int | None:
    return int(value) if np.isfinite(value) else None


def judged(
    library: Library, split: Split, data: Dataset, *, floor: float | None = None, similarity: float | None = None
) -> dict[str, float]:
    """Figures of ``rungs.new_titles`` among the new titles, and what one request takes."""
    newcomers: Newcomers | None = library.newcomers
    if newcomers is not None and floor is not None:
        newcomers.floor = floor
    before, rungs.NEW_TITLE_SIMILARITY = rungs.NEW_TITLE_SIMILARITY, similarity or rungs.NEW_TITLE_SIMILARITY
    ranks, taken, shown = [], [], []
    for history, target in zip(split.histories, split.targets.tolist(), strict=True):
        viewer = viewer_of(history, data)
        started = time.perf_counter()
        rungs.new_titles(library, viewer, 1)
        taken.append(time.perf_counter() - started)
        names = [pick.content_id for pick in rungs.new_titles(library, viewer, len(data.vocabulary))]
        shown.append(len(names))
        wanted = data.vocabulary[target]
        ranks.append(names.index(wanted) + 1 if wanted in names else np.inf)
    rungs.NEW_TITLE_SIMILARITY = before
    found = np.array(ranks)
    gain = np.where(found <= 10, 1 / np.log2(1 + found), 0.0)
    return {
        "hr@1": float(np.mean(found <= 1)),
        "hr@10": float(np.mean(found <= 10)),
        "ndcg@10": float(np.mean(gain)),
        "titles_shown": float(np.mean(shown)),
        "one_request_ms": float(np.median(taken) * 1e3),
    }


def viewer_of(history: History, data: Dataset) -> Viewer:
    """The viewer as the API knows them."""
    entries: list[Entry] = [
        {
            "event_id": str(place),
            "type": "rate" if value else "view",
            "content_id": data.vocabulary[item],
            "value": float(value) * 5 if value else None,
            "at_ms": int(at_s * 1000),
        }
        for place, (item, value, at_s) in enumerate(
            zip(history.items.tolist(), history.values.tolist(), history.at_s.tolist(), strict=True)
        )
    ]
    return Viewer(UUID(int=1), entries[::-1])


if __name__ == "__main__":
    main()
