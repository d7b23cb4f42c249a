"""Sequences trained on a second: ours against RecTools' transformers, interleaved in one run.

    .venv/bin/python -m benchmarks.training_step --data ml-1m.sasrec.txt.gz [--width 64] [--heads 2] [--layers 2] [--length 200]
        [--rounds 5] [--only NAME,...] [--json FILE]

Protocol: the same viewers' newest titles for both (``--length`` targets each at most, one sequence per viewer), the same width,
heads, depth, length, dropout, threads and processor. RecTools trains with its own Lightning module, data loader and Trainer in
batches of 128 (its default), padded to ``--length``; ours with training.sequence.loop as ``bin/nexus train`` does. A step is forward,
backward, optimizer, and loading its batch. Warm-up is not counted. A round is ``--our-steps`` steps of each of
ours and ``--steps`` of each of RecTools', one after the other; sums over all rounds are divided. Steps of ours differ in length and go on
through shuffled epochs from round to round, so sequences and events are counted as they come. ``cpu`` figures
are sequences per second of processor time, which other work on the machine disturbs less.

Limit: ours with SASRec blocks at the recipes' precision trains on at least 5 times as many sequences a second as RecTools' SASRec, with
its default loss and with that of its best recipe. Exit status 1 when it is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.asking import environment
from benchmarks.peers.environment import ROOT, python
from benchmarks.peers.handed import Handed, Rows
from training.config import Compute
from training.dataset import Dataset, History
from training.determinism import repeatable
from training.files.reading import load_path
from training.models_api import quiet
from training.protocols import task
from training.sequence import devices
from training.sequence.batches import pack
from training.sequence.config import SequenceConfig
from training.sequence.loop import Training
from training.sequence.work import Work

LIMIT = 5.0
SEED = 1
DROPOUT = 0.1
BATCH = 128
FOR_EVER = 1_000_000
THEIRS: dict[str, dict[str, Any]] = {
    "rectools sasrec, softmax (its default)": {"loss": "softmax"},
    "rectools sasrec, 256 negatives (its best recipe)": {"loss": "sampled_softmax", "n_negatives": 256},
    "rectools sasrec, softmax, bf16-mixed": {"loss": "softmax", "precision": "bf16-mixed"},
    "rectools ligr, 256 negatives": {"layers": "ligr", "loss": "sampled_softmax", "n_negatives": 256},
}
OURS: dict[str, dict[str, Any]] = {
    "ours sasrec": {"block": "sasrec", "expansion": 1.0},
    "ours sasrec, float32": {"block": "sasrec", "expansion": 1.0, "precision": "32-true"},
    "ours ligr, relative places": {"block": "ligr", "position": "relative"},
}
COMPARED = ("rectools sasrec, softmax (its default)", "rectools sasrec, 256 negatives (its best recipe)")


@dataclass
class Sums:
    """Over all rounds."""

    sequences: float = 0.0
    events: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    rounds: list[float] = field(default_factory=list)

    def add(self, found: dict[str, float]) -> None:
        """A round."""
        for name, value in found.items():
            setattr(self, name, getattr(self, name) + value)
        self.rounds.append(found["sequences"] / found["seconds"])

    def rates(self) -> dict[str, Any]:
        """What is printed."""
        return {
            "sequences_per_s": round(self.sequences / self.seconds, 1),
            "events_per_s": round(self.events / self.seconds),
            "sequences_per_cpu_s": round(self.sequences / self.cpu_seconds, 1),
            "rounds": [round(rate, 1) for rate in self.rounds],
        }


class Theirs:
    """A process that trains RecTools' model step by step."""

    def __init__(self, folder: Path, order: dict[str, Any]) -> None:
        (folder / "order.json").write_text(json.dumps(order))
        self.process = subprocess.Popen(
            [str(python()), "-m", "benchmarks.peers.steps", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(order["threads"]),
        )

    def train(self, steps: int) -> dict[str, float]:
        """So many steps."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):
                found: dict[str, float] = json.loads(line)
                return found
        raise SystemExit(f"RecTools ended with {self.process.wait()}")

    def end(self) -> None:
        """No more steps."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


class Ours:
    """Our loop, an epoch at a time."""

    def __init__(self, dataset: Dataset, histories: list[History], values: dict[str, Any], threads: int) -> None:
        words = {key: value for key, value in values.items() if key != "precision"}
        config = SequenceConfig(dropout=DROPOUT, epochs=FOR_EVER, **words)
        self.place = devices.chosen("cpu", Compute(precision=values.get("precision", "bf16-mixed")))
        self.threads = threads
        with self._set():
            work = Work(config, pack(histories), dataset.size, SEED, float("inf"), None, None, "")
            self.training = Training(work, self.place, quiet)
            self.plan, self.at = self.training._plan(), 0  # noqa: SLF001 (the steps of an epoch)

    @contextmanager
    def _set(self) -> Iterator[None]:
        with repeatable(SEED, threads=self.threads), devices.rounding(self.place):
            yield

    def train(self, steps: int) -> dict[str, float]:
        """So many steps, on from where the last round ended; epochs follow one another."""
        training, done = self.training, {"sequences": 0.0, "events": 0.0}
        with self._set():
            began, began_cpu = time.perf_counter(), time.process_time()
            for _ in range(steps):
                if self.at == len(self.plan):
                    training._end_epoch()  # noqa: SLF001
                    self.plan, self.at = training._plan(), 0  # noqa: SLF001
                starts, sizes = self.plan[self.at]
                training._step(self.plan)  # noqa: SLF001 (an epoch, less what a training does around it)
                self.at += 1
                done["sequences"] += len(starts)
                done["events"] += int(sizes.sum())
            return done | {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - began_cpu}


def newest(histories: tuple[History, ...], count: int) -> list[History]:
    """The newest titles of each viewer with two at least."""
    return [
        History(h.items[-count:], h.values[-count:], h.at_s[-count:], h.context[-count:])
        for h in histories
        if len(h) > 1
    ]


def handed(dataset: Dataset, histories: list[History]) -> Handed:
    """What RecTools trains on."""
    rows, none = Rows.of([h.items for h in histories], [h.at_s for h in histories]), Rows.of([], [])
    return Handed(dataset.size, rows, none, np.zeros(0, np.int64), none, none)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """All rounds."""
    dataset = load_path(given.data).dataset
    learn = task("leave-one-out", dataset).learn
    shape = {"length": given.length, "heads": given.heads, "layers": given.layers, "width": given.width}
    wanted = set(given.only.split(";")) if given.only else {*THEIRS, *OURS}
    sums = {name: Sums() for name in (*THEIRS, *OURS) if name in wanted}
    theirs: dict[str, Theirs] = {}
    with tempfile.TemporaryDirectory(prefix="nexus-bench-") as root:
        for number, (name, values) in enumerate(THEIRS.items()):
            if name in wanted:
                folder = Path(root) / str(number)
                folder.mkdir()
                handed(dataset, newest(learn, given.length + 1)).save(folder / "task.npz")
                theirs[name] = Theirs(folder, order(given, values))
        ours = {
            name: Ours(dataset, newest(learn, given.length), shape | values, given.threads)
            for name, values in OURS.items()
            if name in wanted
        }
        everybody: dict[str, Theirs | Ours] = {**theirs, **ours}
        for name, warm in everybody.items():
            said(name, warm.train(given.warm_up))
        for _ in range(given.rounds):
            for name, their in theirs.items():
                sums[name].add(said(name, their.train(given.steps)))
            for name, our in ours.items():
                sums[name].add(said(name, our.train(given.our_steps)))
        for their in theirs.values():
            their.end()
    return report(given, dataset, {name: found.rates() for name, found in sums.items()})


def order(given: argparse.Namespace, values: dict[str, Any]) -> dict[str, Any]:
    """What RecTools' process is told."""
    words = {key: value for key, value in values.items() if key != "precision"}
    shape = {
        "n_factors": given.width,
        "n_heads": given.heads,
        "n_blocks": given.layers,
        "session_max_len": given.length,
        "dropout_rate": DROPOUT,
        "batch_size": BATCH,
    }
    precision = values.get("precision", "32-true")
    return {"values": shape | words, "precision": precision, "threads": given.threads, "seed": SEED}


def said(name: str, found: dict[str, float]) -> dict[str, float]:
    rate = found["sequences"] / found["seconds"]
    print(f"  {name}: {rate:.1f} sequences/s over {found['seconds']:.1f} s", file=sys.stderr, flush=True)
    return found


def report(given: argparse.Namespace, dataset: Dataset, rates: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Rates and ratios of what was run."""
    found: dict[str, Any] = {
        "data_hash": dataset.data_hash,
        **{
            name: getattr(given, name)
            for name in ("width", "heads", "layers", "length", "threads", "rounds", "steps", "our_steps")
        },
        "batch_of_rectools": BATCH,
        "rates": rates,
        "ratios": {},
        "limit": LIMIT,
    }
    for our in OURS:
        for their in THEIRS:
            if our in rates and their in rates:
                found["ratios"][f"{our} / {their}"] = {
                    key: round(rates[our][key] / rates[their][key], 1)
                    for key in ("sequences_per_s", "sequences_per_cpu_s")
                }
    judged = [f"ours sasrec / {their}" for their in COMPARED]
    found["is_met"] = all(found["ratios"].get(name, {}).get("sequences_per_s", 0.0) >= LIMIT for name in judged)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="as bin/nexus train --data takes it, files only")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="of each of RecTools' in a round")
    parser.add_argument("--our-steps", type=int, default=40, help="of each of ours in a round")
    parser.add_argument("--warm-up", type=int, default=1, help="steps of each before the rounds")
    parser.add_argument("--threads", type=int, default=devices.threads())
    parser.add_argument("--only", help="names as in the table, separated by semicolons")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    found = measure(given)
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    return 0 if found["is_met"] else 1


if __name__ == "__main__":
    sys.exit(main())
