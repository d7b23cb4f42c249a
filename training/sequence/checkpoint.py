"""A training on disk: one safetensors file that is there whole or not at all.

Belongs here: writing, reading, and refusing checkpoints of another training. Does not belong here: when they are written
(loop).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus.errors import Category, NexusError

if TYPE_CHECKING:
    from torch import Tensor

FILE = "training.safetensors"
_STATE = "state"


@dataclass(slots=True)
class Progress:
    """How far a training has come; together with the tensors all that the rest of it depends on.

    Attributes:
        epoch: The one that is under way.
        step: Steps of it that are done.
        epochs: How many there will be.
        loss: Sum of the losses of this epoch so far.
        events: Events that it was summed over.
        seconds: Spent on training and validation, in all processes' lives.
        ended_s: What ``seconds`` was when the last epoch ended.
        trained_events: In all epochs.
        curve: One point per validation.
        best: Index of its best point; -1: none yet.
        is_time_limited: Whether the clock decided the number of epochs.
        is_done: Whether nothing is left to train.
    """

    epochs: int
    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    events: int = 0
    seconds: float = 0.0
    ended_s: float = 0.0
    trained_events: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    best: int = -1
    is_time_limited: bool = False
    is_done: bool = False


def write(folder: Path, identity: str, progress: Progress, tensors: Mapping[str, Tensor]) -> None:
    """Replace the folder's checkpoint."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = {"identity": identity, "progress": asdict(progress)}
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    beside = folder / f".{FILE}.{os.getpid()}"
    save_file(kept, beside, metadata={_STATE: json.dumps(state)})
    beside.replace(folder / FILE)


def read(folder: Path, identity: str) -> tuple[Progress, dict[str, Tensor]] | None:
    """The folder's checkpoint; None where there is none.

    Args:
        folder: As given to :func:`write`.
        identity: Of the training (configuration, data, seed).

    Raises:
        NexusError: category ``conflict``: the checkpoint is of another training, or is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    state, tensors = _opened(path)
    if state.get("identity") != identity:
        raise NexusError(
            "the folder holds a checkpoint of another training",
            category=Category.CONFLICT,
            field="checkpoint",
            value=path,
            remedy="give another folder, or remove the file to begin anew",
        )
    return Progress(**state["progress"]), tensors


def _opened(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})[_STATE])
            return state, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise NexusError(
            f"the checkpoint cannot be read ({error})",
            category=Category.CONFLICT,
            field="checkpoint",
            value=path,
            remedy="remove the file to begin anew",
        ) from error
