"""RecTools trains as many steps as it is told to, and says how long they took.

    PEERS_PYTHON -m benchmarks.peers.steps FOLDER

Belongs here: counting and timing inside RecTools' own training. Does not belong here: models (with_rectools), who asks
(benchmarks.training_step). Runs in the peers' environment.

``FOLDER/order.json`` has the model's values, ``FOLDER/task.npz`` the histories (:class:`Handed`, its ``learn``). A line with a
number on standard input trains so many steps; the answer is a line of JSON. Loading the batches is in the time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl  # noqa: TID251 (what RecTools is built on)
import torch  # noqa: TID253 (the peers' own process)

from benchmarks.peers.handed import Handed
from benchmarks.peers.with_rectools import build, dataset, quiet, trainer

FOR_EVER = 1_000_000


class OnDemand(pl.Callback):
    """Waits before a step until it is told to go on."""

    def __init__(self) -> None:
        self.left = 0
        self.counted: dict[str, float] | None = None
        self.began = self.began_cpu = 0.0

    def on_train_batch_start(self, *given: Any) -> None:
        """Answer for the steps that are done, and wait for the next order."""
        batch = given[2]
        if self.left == 0:
            if self.counted is not None:
                self.counted |= {
                    "seconds": time.perf_counter() - self.began,
                    "cpu_seconds": time.process_time() - self.began_cpu,
                }
                print(json.dumps(self.counted), flush=True)
            wanted = sys.stdin.readline().strip()
            if not wanted:
                os._exit(0)
            self.left, self.counted = int(wanted), {"sequences": 0.0, "events": 0.0}
            self.began, self.began_cpu = time.perf_counter(), time.process_time()
        assert self.counted is not None
        self.left -= 1
        self.counted["sequences"] += len(batch["x"])
        self.counted["events"] += int((batch["y"] != 0).sum())


def main() -> None:
    folder = Path(sys.argv[1])
    order = json.loads((folder / "order.json").read_text())
    quiet()
    torch.set_num_threads(order["threads"])
    pl.seed_everything(order["seed"])
    steps = OnDemand()
    model = build(order["values"], lambda: trainer(FOR_EVER, [steps], order["precision"]))
    model.fit(dataset(Handed.load(folder / "task.npz").learn))


if __name__ == "__main__":
    main()
