"""Encoding one viewer's 200 newest events and ranking 10,000 titles, on one core: p50 and p99; and what smaller weights cost.

Run it anywhere; nothing needs to be up::

    .venv/bin/python -m benchmarks.encode [--recipe sequence-cpu] [--titles 10000] [--events 200] [--requests 2000] [--json FILE]
    .venv/bin/python -m benchmarks.encode --recipe sequence-small --data PATH [--protocol leave-one-out] [--seed 1] [--keep DIR]

Without ``--data`` the network has the recipe's shape and random weights: time does not depend on their values. With it the
network is trained on the data (or its training in DIR is taken up; a finished one costs nothing), and HR@10 and NDCG@10 of
every file on the validation and the test titles stand beside the times, which are then those of real viewers.

One request is what serving does: arrays of one viewer in, one run of the ONNX graph on one thread, ten best unseen titles out
(``argpartition``, no sort of the catalogue). ``scores`` stops there; ``with_contributions`` runs the graph a second time, for what
each of the 200 events contributes to each of the ten, as serving does for its reasons. Files: float32, ``float16`` (weights stored in 16 bits, computed in 32) and ``int8`` (weights and activations of matrix
products in 8 bits). ``overlap_10`` is the share of the ten best titles that a file has in common with float32. ``cpu_p50_ms`` is
the processor time of a request: what ``p50_ms`` would be on a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import numpy as np

from training import protocols
from training.dataset import Dataset, History
from training.evaluation import evaluate
from training.export import session
from training.files import reading
from training.models_api import quiet
from training.protocols import Task
from training.recipes import registry
from training.run_export import OnnxScorer
from training.sequence import export
from training.sequence.model import SequenceModel
from training.sequence.scorer import SequenceScorer

WARM_UP = 50
P50_MS, P99_MS = 4.0, 10.0
NOBODY = np.zeros((1, 1), np.int64)


def catalogue(titles: int, events: int, viewers: int) -> Dataset:
    random = np.random.default_rng(0)
    histories = tuple(
        History(
            random.choice(titles, events, replace=False) + 1,
            np.zeros(events, np.float32),
            np.arange(events) * 60.0,
            np.zeros((events, 0), np.float32),
        )
        for _ in range(viewers)
    )
    return Dataset(
        vocabulary=("", *map(str, range(1, titles + 1))),
        viewers=tuple(map(str, range(viewers))),
        histories=histories,
        years=np.full(titles + 1, np.nan, np.float32),
        genres=((),) * (titles + 1),
        context_features=(),
        data_hash="synthetic",
    )


def untrained(model: SequenceModel, size: int) -> SequenceScorer:
    import torch

    torch.manual_seed(0)
    return SequenceScorer(model.config.build(size).eval(), size)


def trained(model: SequenceModel, task: Task, dataset: Dataset, seed: int, keep: Path | None) -> SequenceScorer:
    if keep is not None:
        model.keep_in(keep)
    return model.fit(dataset, task.learn, validation=task.validation, seed=seed, budget_s=float("inf"), tell=quiet)


def best(scores: np.ndarray, items: np.ndarray, count: int = 10) -> np.ndarray:
    scores[0] = scores[items] = -np.inf
    top = np.argpartition(scores, -count)[-count:]
    return top[np.argsort(scores[top])[::-1]]


def measure(
    path: Path, scorer: SequenceScorer, data: Dataset, requests: int, *, has_reasons: bool
) -> tuple[dict[str, float], list[np.ndarray]]:
    running, features = session(path), len(data.context_features)
    times, cpu, tops = [], [], []
    for number in range(WARM_UP + requests):
        history = data.histories[number % len(data.histories)]
        began, began_cpu = perf_counter(), thread_time()
        inputs = export.real_inputs(scorer, [history], features)
        top = best(running.run(["scores"], inputs | {"titles": NOBODY})[0][0], history.items)
        if has_reasons:
            running.run(["contributions"], inputs | {"titles": top[None]})
        times.append((perf_counter() - began) * 1000)
        cpu.append((thread_time() - began_cpu) * 1000)
        tops.append(top)
    p50, p99 = np.percentile(times[WARM_UP:], [50, 99])
    figures = {
        "p50_ms": round(float(p50), 3),
        "p99_ms": round(float(p99), 3),
        "cpu_p50_ms": round(float(np.median(cpu[WARM_UP:])), 3),
    }
    return figures, tops[: len(data.histories)]


def quality(path: Path, scorer: SequenceScorer, task: Task, size: int) -> dict[str, dict[str, float]]:
    asked = OnnxScorer(session(path), scorer.history_length)
    found = {}
    for split in (task.validation, task.test):
        metrics = evaluate(asked, split, size).metrics()
        found[split.name] = {"hr@10": round(metrics["hr_10"], 5), "ndcg@10": round(metrics["ndcg_10"], 5)}
    return found


def measured(
    scorer: SequenceScorer, data: Dataset, task: Task | None, requests: int, folder: Path
) -> tuple[dict[str, Any], float]:
    """Figures of every file, and how far float32 is from torch."""
    path = folder / "model.onnx"
    difference = scorer.export(data, path).max_abs_difference
    files = {
        "float32": path,
        "float16": export.float16(path, folder / "float16.onnx"),
        "int8": export.int8(path, folder / "int8.onnx"),
    }
    found: dict[str, Any] = {}
    plain: list[np.ndarray] = []
    for name, file in files.items():
        figures, tops = measure(file, scorer, data, requests, has_reasons=False)
        plain = plain or tops
        overlap = np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in zip(plain, tops, strict=True)])
        found[name] = {
            "scores": figures,
            "with_contributions": measure(file, scorer, data, requests, has_reasons=True)[0],
            "size_mb": round(file.stat().st_size / 2**20, 2),
            "overlap_10": round(float(overlap), 4),
        }
        if task is not None:
            found[name]["quality"] = quality(file, scorer, task, data.size)
    return found, difference


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="sequence-cpu")
    parser.add_argument("--titles", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--data", type=Path, help="train on these ratings")
    parser.add_argument("--protocol", default="leave-one-out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--keep", type=Path, help="folder of the training's checkpoint, as in OUT/checkpoint of bin/nexus train"
    )
    parser.add_argument("--threads", type=int, help="of the training; figures repeat exactly for the same number only")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    build = registry.named(given.recipe).build
    model = build() if build else None
    if not isinstance(model, SequenceModel):
        parser.exit(2, f"{given.recipe} is no sequence recipe\n")
    if given.threads:
        model.threads = given.threads
    task = None
    if given.data is None:
        data = catalogue(given.titles, given.events, viewers=64)
        scorer = untrained(model, data.size)
    else:
        data = reading.load_path(given.data).dataset
        task = protocols.task(given.protocol, data)
        scorer = trained(model, task, data, given.seed, given.keep)
    with tempfile.TemporaryDirectory() as folder:
        files, difference = measured(scorer, data, task, given.requests, Path(folder))
    plain = files["float32"]["scores"]
    found = {
        "recipe": given.recipe,
        "data": data.data_hash,
        "protocol": task.name if task else None,
        "titles": data.size - 1,
        "events": given.events if task is None else None,
        "max_abs_difference": difference,
        **files,
        "limit": {"p50_ms": P50_MS, "p99_ms": P99_MS},
        "is_met": plain["p50_ms"] <= P50_MS and plain["p99_ms"] <= P99_MS,
    }
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    return 0 if found["is_met"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
