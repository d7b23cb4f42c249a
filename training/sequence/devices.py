"""Where a training runs: device, precision, and what several processes tell each other.

Belongs here: translating training.config.Compute and ``auto|cpu|gpu``; processes of data-parallel training.
Does not belong here: the loop.

Several processes share every step: each takes its part of the windows, and gradients are summed, so the step is the one
that a single process would have made.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nexus.errors import unavailable
from training.config import Compute

if TYPE_CHECKING:
    from torch import Tensor

DEVICE_ROOM = 32
"""How many times more logits an accelerator holds at once than a CPU's cache."""


@dataclass(frozen=True, slots=True)
class Place:
    """One process of a training.

    Attributes:
        device: As torch names it.
        is_half: Whether matrix products run in bfloat16.
        rank: Of this process.
        processes: How many there are.
    """

    device: str = "cpu"
    is_half: bool = False
    rank: int = 0
    processes: int = 1

    @property
    def room(self) -> int:
        """Times more logits than on a CPU."""
        return 1 if self.device == "cpu" else DEVICE_ROOM

    def precision(self) -> AbstractContextManager[Any]:
        """Autocasting to bfloat16, where it is wanted."""
        import torch

        if self.is_half:
            return torch.autocast(self.device.partition(":")[0], dtype=torch.bfloat16)
        return nullcontext()

    def add_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Sum gradients over all processes, in one message."""
        if self.processes == 1:
            return
        import torch
        from torch import distributed

        gradients = [value.grad for value in parameters if value.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        done = 0
        for gradient in gradients:
            gradient.copy_(flat[done : done + gradient.numel()].view_as(gradient))
            done += gradient.numel()

    def sum(self, value: float) -> float:
        """The sum over all processes, in all of them."""
        if self.processes == 1:
            return value
        import torch
        from torch import distributed

        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.all_reduce(shared)
        return float(shared)

    def from_first(self, value: float) -> float:
        """The first process's value, in all of them."""
        if self.processes == 1:
            return value
        import torch
        from torch import distributed

        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, 0)
        return float(shared)

    def agree(self, value: bool) -> bool:
        """The first process's answer, in all of them."""
        return bool(self.from_first(float(value)))


def chosen(device: str, compute: Compute) -> Place:
    """The place for a request of ``auto``, ``cpu`` or ``gpu``.

    Raises:
        NexusError: category ``unavailable``: a GPU was asked for and there is none.
    """
    import torch

    wanted = compute.accelerator if device == "auto" and compute.accelerator != "cpu" else device
    has_gpu = torch.cuda.is_available()
    if wanted in ("gpu", "cuda") and not has_gpu:
        raise unavailable("there is no GPU that torch can use", remedy="--device auto or cpu", field="device")
    on_gpu = wanted in ("gpu", "cuda") or (wanted == "auto" and has_gpu)
    has_half = torch.cuda.is_bf16_supported() if on_gpu else multiplies_half()
    return Place("cuda" if on_gpu else "cpu", is_half=has_half and compute.precision.startswith("bf16"))


def multiplies_half() -> bool:
    """Whether this CPU multiplies bfloat16 by itself (AMX, AVX512-BF16): then it is several times quicker than float32."""
    import torch

    area = torch.cpu
    return bool(area._is_avx512_bf16_supported() or area._is_amx_tile_supported())  # noqa: SLF001 (no other way to ask)


def threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


@contextmanager
def rounding(place: Place) -> Iterator[None]:
    """Let float32 matrix products round their factors inside the block: TF32 on a GPU, bfloat16 on a CPU that is asked to."""
    import torch

    if place.device == "cpu":
        area, wanted = getattr(torch.backends.mkldnn, "matmul"), "bf16" if place.is_half else "ieee"  # noqa: B009 (untyped)
    else:
        area, wanted = torch.backends.cuda.matmul, "tf32"
    before = area.fp32_precision
    area.fp32_precision = wanted
    try:
        yield
    finally:
        area.fp32_precision = before
