"""Recommenders side by side: same data, same split, same evaluator, one run.

    .venv/bin/python -m benchmarks.recommenders --data PATH [--protocol leave-one-out] [--only NAME,...] [--seeds 1,2,3]
        [--recipes default,sequence-small] [--budget 240] [--with-gorse] [--json FILE]

Ours are the floors and the recipes of ``bin/nexus train``; peers are RecTools (SASRec, eSASRec, HSTU) and implicit (ALS, BPR),
in an environment of their own that is made on first use, and with ``--with-gorse`` gorse behind its REST API (needs Go once).
Protocol: training.protocols makes the task; peers get histories and validation titles in a file, never test titles, and
hand back scores of the test rows; training.evaluation ranks all of them: all titles, seen ones filtered, equal scores
counted against the held-out title. Settings and epochs are chosen on validation titles. gorse gives a list of ten, so it
has figures at 10 only. A peer's answer to the same order is kept under ``.nexus/bench/answers``.

``--budget`` is of seconds of training per transformer and recipe; ``seconds`` in the table are of this run on this machine, with
whatever else it does; ``cpu_s`` are of the processor.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.settings import IMPLICIT, RECTOOLS
from training import metrics
from training.evaluation import Scorer, evaluate
from training.files.reading import Loaded, load_path
from training.floor_models import FLOORS, FloorModel
from training.models_api import Explained, Model, Refittable
from training.protocols import task as make_task
from training.recipes import registry
from training.sequence import devices
from training.tasks import Task

PROTOCOLS = ("leave-one-out", "leave-one-out-timed")
GORSE = ("gorse-factors", "gorse-users")
SEEDLESS = (*FLOORS, *GORSE)
SHOWN = ("ndcg@10", "hr@10", "ndcg@50", "hr@50", "coverage@10")


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    seed: int | None
    metrics: Mapping[str, float]
    seconds: float
    cpu_seconds: float | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """What all lines have in common."""

    loaded: Loaded
    task: Task
    budget_s: float
    threads: int

    def judged(self, name: str, seed: int | None, scorer: Scorer, seconds: float, cpu: float | None, about: Any) -> Row:
        """Rank the test titles, once."""
        outcome = evaluate(scorer, self.task.test, self.loaded.dataset.size)
        figures = metrics.figures(outcome, self.task.test.targets, self.task.relearn)
        return Row(name, seed, figures, round(seconds, 1), cpu, about)

    def ours(self, name: str, model: Model, seed: int, budget_s: float) -> Row:
        """Fit on what may be learned from, choose on validation titles, count anew for the test where a model can."""
        began, began_cpu = time.monotonic(), time.process_time()
        dataset, task = self.loaded.dataset, self.task
        fitted = model.fit(dataset, task.learn, validation=task.validation, seed=seed, budget_s=budget_s, tell=tell)
        about = {
            "settings": dict(fitted.settings) if isinstance(fitted, Explained) else {},
            "validation_ndcg_10": float(evaluate(fitted, task.validation, dataset.size).ndcg_10.mean()),
        }
        scorer = fitted.refit(task.relearn) if isinstance(fitted, Refittable) else fitted
        seconds, cpu = time.monotonic() - began, time.process_time() - began_cpu
        return self.judged(name, None if name in FLOORS else seed, scorer, seconds, round(cpu, 1), about)

    def peer(self, name: str, seed: int) -> Row:
        """Asked in its own process."""
        from benchmarks.peers.asking import ask
        from benchmarks.peers.environment import python

        dataset = self.loaded.dataset
        found = ask(
            python(),
            name,
            self.task,
            dataset.size,
            dataset.data_hash,
            seed=seed,
            budget_s=self.budget_s,
            threads=self.threads,
        )
        return self.judged(name, seed, found, found.said["seconds"], found.said["cpu_seconds"], found.said)

    def gorse(self, name: str) -> Row:
        """Lists of ten through its API."""
        from benchmarks.gorse.gorse_server import lists

        found = lists(name, self.loaded.dataset, self.task, self.threads, tell)
        ranks = np.array(
            [
                list(top).index(target) + 1 if target in top else self.loaded.dataset.size
                for top, target in zip(found.tops, self.task.test.targets.tolist(), strict=True)
            ]
        )
        shown = {title for top in found.tops for title in top}
        figures = {
            "ndcg@10": float(np.where(ranks <= 10, 1.0 / np.log2(1.0 + ranks), 0.0).mean()),
            "hr@10": float((ranks <= 10).mean()),
            "coverage@10": len(shown) / (self.loaded.dataset.size - 1),
        }
        return Row(name, None, figures, found.seconds, None, found.about)

    def row(self, name: str, seed: int) -> Row:
        """The line of a floor, a peer, or a recipe."""
        if name in FLOORS:
            return self.ours(name, FloorModel(name), seed, self.budget_s)
        if name in RECTOOLS or name in IMPLICIT:
            return self.peer(name, seed)
        if name in GORSE:
            return self.gorse(name)
        build = registry.named(name).build
        if build is None:
            sys.exit(f"{name} has no model of its own: its floors are in the table anyway")
        return self.ours(name, build(), seed, self.budget_s)


def tell(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


def table(rows: list[Row]) -> str:
    """Markdown: a model a line, means over its seeds, the spread of NDCG@10 beside them."""
    lines = [
        "| model | seeds | NDCG@10 | ± | HR@10 | NDCG@50 | HR@50 | coverage@10 | seconds | cpu s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row.name for row in rows):
        of = [row for row in rows if row.name == name]
        mean = {key: np.mean([row.metrics.get(key, np.nan) for row in of]) for key in SHOWN}
        spread = np.std([row.metrics["ndcg@10"] for row in of], ddof=1) if len(of) > 1 else np.nan
        seeds = " ".join(str(row.seed) for row in of if row.seed is not None)
        cells = [
            name,
            seeds or "-",
            _number(mean["ndcg@10"]),
            _number(spread),
            _number(mean["hr@10"]),
            _number(mean["ndcg@50"]),
            _number(mean["hr@50"]),
            _number(mean["coverage@10"], 3),
            f"{np.mean([row.seconds for row in of]):.0f}",
            _number(np.mean([np.nan if row.cpu_seconds is None else row.cpu_seconds for row in of]), 0),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _number(value: Any, digits: int = 4) -> str:
    return "-" if np.isnan(value) else f"{value:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="as bin/nexus train --data takes it, files only")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="leave-one-out")
    parser.add_argument("--only", help="names, separated by commas; default: all floors, the recipes, all peers")
    parser.add_argument("--recipes", default="default,sequence-small", help="ours beside the floors")
    parser.add_argument("--seeds", default="1", help="of what draws anything; floors and gorse run once")
    parser.add_argument("--budget", type=float, default=240.0, help="seconds of training per model that takes a budget")
    parser.add_argument("--threads", type=int, default=devices.threads())
    parser.add_argument("--with-gorse", action="store_true")
    parser.add_argument("--json", type=Path, help="write all figures and settings here, too")
    given = parser.parse_args()
    loaded = load_path(given.data)
    bench = Bench(loaded, make_task(given.protocol, loaded.dataset), given.budget, given.threads)
    names = [*FLOORS, *given.recipes.split(","), *IMPLICIT, *RECTOOLS, *(GORSE if given.with_gorse else [])]
    rows: list[Row] = []
    for name in given.only.split(",") if given.only else names:
        for seed in [int(each) for each in given.seeds.split(",")]:
            if name in SEEDLESS and any(row.name == name for row in rows):
                continue
            print(f"{name}, seed {seed}", file=sys.stderr, flush=True)
            rows.append(bench.row(name, seed))
    print(
        f"{bench.task.words}\nseeds {given.seeds}; {given.threads} threads; budget {given.budget:g} s\n\n{table(rows)}"
    )
    if given.json:
        found = {
            "words": bench.task.words,
            "data_hash": loaded.dataset.data_hash,
            "protocol": given.protocol,
            "seeds": given.seeds,
            "threads": given.threads,
            "budget_s": given.budget,
            "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
            "rows": [vars(row) for row in rows],
        }
        given.json.write_text(json.dumps(found, indent=1, default=str))


if __name__ == "__main__":
    main()
