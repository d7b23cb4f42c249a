"""The content model as ONNX.

Belongs here: its graph. Does not belong here: writing and checking files (training.export).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.dataset import Dataset
from training.floors import Fitted

if TYPE_CHECKING:
    from training.export import Exported


def export(fitted: Fitted, dataset: Dataset, path: Path, *, history_length: int) -> Exported:
    """Write the file and prove that it says what torch says.

    Raises:
        NexusError: category ``internal`` when the two disagree.
    """
    from training.export import export as write

    return write(graph(fitted, history_length), dataset, path, history_length=history_length)


def graph(fitted: Fitted, history_length: int) -> Any:
    """A torch module with the signature of training.bundle_format."""
    import torch

    from training.models.mixture import RecencyWeigher
    from training.models.thin import ThinScorer

    assert fitted.ease is not None and fitted.ease.right is not None  # noqa: S101, PT018 (made by content.part.joined)
    weigher = RecencyWeigher(torch.from_numpy(fitted.source), history_length, fitted.last, fitted.decay)
    right = np.ascontiguousarray(fitted.ease.right.T.toarray(), dtype=np.float32)
    tensors = (torch.from_numpy(np.ascontiguousarray(array)) for array in (fitted.ease.left, right, fitted.static))
    return ThinScorer(weigher, *tensors).eval()
