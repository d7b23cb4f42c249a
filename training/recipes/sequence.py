"""The recipes of the sequence transformer.

Belongs here: values, and which model they build. Does not belong here: what a value means (training.sequence.config), how it
is trained (training.sequence).

Values of ``sequence-small`` and ``sequence-cpu`` were chosen on validation titles; those of ``sequence-night`` and
``sequence-gpu`` are carried on from them and have not been tried. ``sequence-mixture`` is ``sequence-small`` with another head, and
untried itself; with the values of the hybrid's transformer that head was worse on validation titles (docs/recommender.md). Time is used where the protocol gives the
time of the request, and left out where it does not.
"""

from __future__ import annotations

from training.config import Compute
from training.models_api import Model
from training.recipes.registry import Recipe
from training.sequence.config import MixtureConfig, SequenceConfig

DEBUG = SequenceConfig(
    width=16, length=16, epochs=6, batch_tokens=256, lr=1e-2, average=0.9, position="relative", dropout=0.0
)
CPU = SequenceConfig(
    width=64, layers=4, position="relative", lr=2e-3, epochs=28, validate_every=2, logits_mb=4, has_time=True
)
SMALL = CPU.model_copy(
    update={"layers": 2, "dropout": 0.3, "item_dropout": 0.2, "start": "svd", "batch_tokens": 2048, "epochs": 30}
)
VALUES: dict[str, SequenceConfig] = {
    "sequence-debug": DEBUG,
    "sequence-small": SMALL,
    "sequence-mixture": SMALL.model_copy(update={"head": MixtureConfig()}),
    "sequence-cpu": CPU,
    "sequence-night": CPU.model_copy(
        update={"width": 96, "layers": 8, "dropout": 0.2, "lr": 1e-3, "epochs": 100, "patience": 12}
    ),
    "sequence-gpu": CPU.model_copy(
        update={
            "width": 256,
            "heads": 4,
            "layers": 8,
            "dropout": 0.2,
            "lr": 1e-3,
            "epochs": 150,
            "patience": 15,
            "batch_tokens": 16_384,
            "logits_mb": 64,
        }
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of this name."""
    config = VALUES[name]

    def build() -> Model:
        from training.sequence.model import SequenceModel

        precision = "32-true" if name == "sequence-debug" else "bf16-mixed"
        return SequenceModel(config, compute=Compute(precision=precision), threads=1 if name == "sequence-debug" else 0)

    return Recipe(name, build, config.model_dump(), is_quick=name == "sequence-debug")
