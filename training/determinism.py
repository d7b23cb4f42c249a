"""The same numbers every time on a CPU.

Belongs here: threads and algorithms of whatever computes during a training. Does not belong here: seeds (they are
training's own arguments), what is trained.

Sums of floating-point numbers depend on how they are split among threads, so the number of threads belongs to a run as its
seed does.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def repeatable(seed: int, *, threads: int) -> Iterator[None]:
    """Run the block with deterministic algorithms, fixed seeds and a fixed number of threads.

    Args:
        seed: For the global generators, whoever uses them.
        threads: Of torch and of linear algebra (BLAS, OpenMP).
    """
    import numpy as np
    import torch
    from threadpoolctl import threadpool_limits  # locked with MLflow (scikit-learn needs it)

    was_deterministic, threads_before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    uninitialised: Any = torch.utils.deterministic
    was_filling = uninitialised.fill_uninitialized_memory
    # Filling every new tensor costs a fifth of the training and only helps to find who reads what was never written.
    uninitialised.fill_uninitialized_memory = False
    # Only warn: an operation without a deterministic way (on some GPU) should make a figure vary, not a training fail.
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (whoever uses the global generator gets the seed too)
    random.seed(seed)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(threads_before)
        uninitialised.fill_uninitialized_memory = was_filling
        torch.use_deterministic_algorithms(was_deterministic)
