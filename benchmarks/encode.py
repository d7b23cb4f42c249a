"""Encoding one viewer's 200 newest events and ranking 10,000 titles, on one core: p50 and p99.

Run it anywhere; nothing needs to be up::

    .venv/bin/python -m benchmarks.encode [--recipe sequence-cpu] [--titles 10000] [--events 200] [--requests 2000] [--json FILE]

The network has the recipe's shape and random weights: time does not depend on their values. One request is what serving
does: arrays of one viewer in, one run of the ONNX graph on one thread, ten best unseen titles out (``argpartition``, no
sort of the catalogue). Measured for float32 and for 8-bit weights; ``overlap_10`` is the share of the ten best titles that
the 8-bit graph has in common with the float32 graph. ``cpu_p50_ms`` is the processor time of a request: what ``p50_ms`` would be on a
machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import numpy as np

from training.dataset import Dataset, History
from training.recipes import registry
from training.sequence import export
from training.sequence.config import SequenceConfig
from training.sequence.scorer import SequenceScorer

WARM_UP = 50
P50_MS, P99_MS = 4.0, 10.0


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


def untrained(config: SequenceConfig, size: int) -> SequenceScorer:
    import torch

    torch.manual_seed(0)
    return SequenceScorer(config.build(size).eval(), size)


def best(scores: np.ndarray, items: np.ndarray, count: int = 10) -> np.ndarray:
    scores[0] = scores[items] = -np.inf
    top = np.argpartition(scores, -count)[-count:]
    return top[np.argsort(scores[top])[::-1]]


def measure(
    path: Path, scorer: SequenceScorer, data: Dataset, requests: int
) -> tuple[dict[str, float], list[np.ndarray]]:
    running = export.session(path)
    times, cpu, tops = [], [], []
    for number in range(WARM_UP + requests):
        history = data.histories[number % len(data.histories)]
        began, began_cpu = perf_counter(), thread_time()
        inputs = export.real_inputs(scorer, [history], 0)
        (scores,) = running.run(["scores"], inputs)
        top = best(scores[0], history.items)
        times.append((perf_counter() - began) * 1000)
        cpu.append((thread_time() - began_cpu) * 1000)
        tops.append(top)
    p50, p99 = np.percentile(times[WARM_UP:], [50, 99])
    figures = {
        "p50_ms": round(float(p50), 3),
        "p99_ms": round(float(p99), 3),
        "cpu_p50_ms": round(float(np.median(cpu[WARM_UP:])), 3),
        "size_mb": round(path.stat().st_size / 2**20, 2),
    }
    return figures, tops[: len(data.histories)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="sequence-cpu")
    parser.add_argument("--titles", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    build = registry.named(given.recipe).build
    config: Any = getattr(build() if build else None, "config", None)
    if not isinstance(config, SequenceConfig):
        parser.exit(2, f"{given.recipe} is no sequence recipe\n")
    data = catalogue(given.titles, given.events, viewers=64)
    scorer = untrained(config, data.size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        difference = scorer.export(data, path).max_abs_difference
        plain, tops = measure(path, scorer, data, given.requests)
        small, others = measure(export.int8(path, Path(folder) / "int8.onnx"), scorer, data, given.requests)
    overlap = np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in zip(tops, others, strict=True)])
    found = {
        "recipe": given.recipe,
        "titles": given.titles,
        "events": given.events,
        "max_abs_difference": difference,
        "float32": plain,
        "int8": small | {"overlap_10": round(float(overlap), 4)},
        "limit": {"p50_ms": P50_MS, "p99_ms": P99_MS},
        "is_met": plain["p50_ms"] <= P50_MS and plain["p99_ms"] <= P99_MS,
    }
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    return 0 if found["is_met"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
