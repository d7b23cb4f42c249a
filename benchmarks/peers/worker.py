"""The peers' process: reads what was handed over, trains one model, writes its scores.

    PEERS_PYTHON -m benchmarks.peers.worker FOLDER

Belongs here: files in, files out. Does not belong here: models. Imports nothing of NEXUS: it runs in the peers' environment.

``FOLDER/order.json`` says which model, seed, budget in seconds and threads; ``FOLDER/task.npz`` is :class:`Handed`. Written are
``scores.npy`` (float32 ``[n, N+1]``) and ``said.json``.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np

from benchmarks.peers.handed import Handed


def main() -> None:
    folder = Path(sys.argv[1])
    order = json.loads((folder / "order.json").read_text())
    handed = Handed.load(folder / "task.npz")
    began, began_cpu = time.monotonic(), time.process_time()
    name = order["model"]
    if name.startswith("implicit-"):
        from benchmarks.peers.with_implicit import answer
    else:
        from benchmarks.peers.with_rectools import answer
    scores, said = answer(name, handed, order["seed"], order["budget_s"], order["threads"])
    said |= {
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(time.process_time() - began_cpu, 1),
        "versions": {each: metadata.version(each) for each in ("rectools", "implicit", "torch")},
    }
    np.save(folder / "scores.npy", scores.astype(np.float32))
    (folder / "said.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main()
