"""What diversity and exploration of lists cost, and what they give.

    bin/nexus train default --data FOLDER --seed 1 --out RUN
    .venv/bin/python -m benchmarks.title_vectors FOLDER vectors.npz
    .venv/bin/python -m benchmarks.variety --data FOLDER --run RUN --vectors vectors.npz [--json FILE]

Protocol: the run's ONNX file ranks the catalogue for the test row of each viewer (leave-one-out, seen titles left out); the API's own rule
(``serving.recommendations.variety``) makes the list of ten from these scores. HR@10 and NDCG@10 are of the held-out title's place in that list;
``alike`` is the mean cosine of text vectors between two titles of a list, ``coverage`` the share of the catalogue that stands in
anybody's list. Exploration is the mean over ``--draws`` draws. The first row is the list as measured everywhere else. The ratio to
it is what a setting costs.
"""

from __future__ import annotations

import argparse
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from serving.recommendations.variety import AS_MEASURED, Variety
from training import protocols
from training.bundle_format import MANIFEST_FILE, MODEL_FILE
from training.content.vectors import TextVectors
from training.export import session
from training.files.reading import load_path
from training.run_export import OnnxScorer

LENGTH = 10
SETTINGS = (
    AS_MEASURED,
    *(Variety(diversity=value) for value in (0.1, 0.2, 0.3, 0.5, 0.7)),
    *(Variety(exploration=value) for value in (0.1, 0.25, 0.5, 1.0)),
    Variety(diversity=0.2, exploration=0.1),
)


def lists(variety: Variety, scores: np.ndarray, unit: np.ndarray, draw: int) -> np.ndarray:
    """A list for each row of scores, ``[n, 10]``; 0 where there is no title left."""
    found = np.zeros((len(scores), LENGTH), np.int64)
    for row, one in enumerate(scores):
        chosen = variety.chosen(one, LENGTH, lambda positions: unit[positions], draw * len(scores) + row)
        found[row, : len(chosen)] = chosen
    return found


def figures(found: np.ndarray, targets: np.ndarray, unit: np.ndarray) -> dict[str, float]:
    """HR@10, NDCG@10, likeness and coverage of lists."""
    hit = found == targets[:, None]
    gain = (hit / np.log2(2.0 + np.arange(LENGTH))).sum(axis=1)
    pairs = np.array(list(combinations(range(LENGTH), 2)))
    alike = np.einsum("npd,npd->np", unit[found[:, pairs[:, 0]]], unit[found[:, pairs[:, 1]]])
    return {
        "hr@10": float(hit.any(axis=1).mean()),
        "ndcg@10": float(gain.mean()),
        "alike": float(alike.mean()),
        "coverage@10": float(len(np.unique(found[found > 0])) / (len(unit) - 1)),
    }


def measure(data: Path, run: Path, vectors: Path, draws: int) -> list[dict[str, Any]]:
    """A row for each setting."""
    dataset = load_path(data).dataset
    test = protocols.task("leave-one-out", dataset).test
    length = json.loads((run / MANIFEST_FILE).read_text())["history_length"]
    scores = OnnxScorer(session(run / MODEL_FILE), length).scores(test.histories, test.contexts)
    scores[:, 0] = -np.inf
    for row, history in enumerate(test.histories):
        scores[row, history.items] = -np.inf
    rows = TextVectors.read(vectors).of(dataset)
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    found: list[dict[str, Any]] = []
    for variety in SETTINGS:
        times = draws if variety.exploration else 1
        every = [figures(lists(variety, scores, unit, draw), test.targets, unit) for draw in range(times)]
        mean = {name: float(np.mean([one[name] for one in every])) for name in every[0]}
        first = found[0] if found else mean
        ratio = round(mean["ndcg@10"] / max(first["ndcg@10"], 1e-12), 3)
        found.append({"diversity": variety.diversity, "exploration": variety.exploration, **mean, "ndcg_ratio": ratio})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="a folder of bin/nexus train")
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measure(given.data, given.run, given.vectors, given.draws)
    head = list(found[0])
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for one in found:
        print(
            "| "
            + " | ".join(f"{one[name]:.4f}" if "@" in name or name == "alike" else f"{one[name]:g}" for name in head)
            + " |"
        )
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
