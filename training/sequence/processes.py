"""Data-parallel training: one process per device, every step shared.

Belongs here: starting the processes and bringing their result back. Does not belong here: what they do (loop), on what
(devices).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nexus import logs
from training.sequence import checkpoint, devices
from training.sequence.checkpoint import Progress
from training.sequence.devices import Place
from training.sequence.loop import Training
from training.sequence.scorer import SequenceScorer
from training.sequence.work import Work

if TYPE_CHECKING:
    from torch import Tensor


def train_together(work: Work, place: Place, count: int, threads: int) -> tuple[SequenceScorer, Progress]:
    """Train in ``count`` processes; the first one's checkpoint is the result.

    Processes are spawned, not started by a script launcher: that would run the command of this process again.
    """
    from torch.multiprocessing.spawn import spawn

    with tempfile.TemporaryDirectory(prefix="nexus-sequence-") as shared:
        folder = work.folder or Path(shared) / "checkpoint"
        own = replace(work, folder=folder)
        spawn(  # type: ignore[no-untyped-call]
            _one, args=(count, Path(shared) / "meeting", own, place, max(1, threads // count)), nprocs=count
        )
        found = checkpoint.read(folder, work.identity)
    assert found is not None  # noqa: S101 (a process that did not write it has failed, and spawn has raised)
    return brought_back(work, *found)


def brought_back(work: Work, progress: Progress, tensors: Mapping[str, Tensor]) -> tuple[SequenceScorer, Progress]:
    """The network that a finished training kept, from its checkpoint."""
    import torch

    net = work.config.build(work.size)
    kept = "best." if progress.best >= 0 else ("average." if work.config.average else "net.")
    values = {name.removeprefix(kept): value for name, value in tensors.items() if name.startswith(kept)}
    with torch.no_grad():
        net.load_state_dict(values)
    return SequenceScorer(net.eval(), work.size), progress


def _one(rank: int, count: int, meeting: Path, work: Work, place: Place, threads: int) -> None:
    from datetime import timedelta

    from torch import distributed

    from training.determinism import repeatable

    on_gpu = place.device != "cpu"
    distributed.init_process_group(
        "nccl" if on_gpu else "gloo",
        init_method=meeting.as_uri(),
        rank=rank,
        world_size=count,
        timeout=timedelta(minutes=30),
    )
    here = Place(f"cuda:{rank}" if on_gpu else "cpu", place.is_half, rank, count)
    log = logs.get(__name__)

    def tell(line: str) -> None:
        if rank == 0:
            log.info("sequence_progress", line=line)

    try:
        with repeatable(work.seed, threads=threads), devices.rounding(here):
            Training(work, here, tell).run()
    finally:
        distributed.destroy_process_group()
