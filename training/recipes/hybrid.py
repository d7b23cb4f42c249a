"""The recipes of the hybrid: the attention mixture, a sequence transformer and counted parts, chosen and weighed by validation.

Belongs here: values, and which model they build. Does not belong here: what a value means (training.hybrid.config), how it is
learned (training.hybrid).

``default`` is what ``bin/nexus up`` trains. Values were chosen on validation titles.
"""

from __future__ import annotations

from training import config as configs
from training.hybrid.config import HOME_SEQUENCE, HybridConfig
from training.models_api import Model
from training.recipes.registry import Recipe
from training.recipes.sequence import VALUES as SEQUENCES

VALUES: dict[str, HybridConfig] = {
    "default": HybridConfig(),
    "hybrid-large": HybridConfig(sequence=SEQUENCES["sequence-cpu"], sequence_events=0),
    "hybrid-counts": HybridConfig(mixture=None, sequence=None),
    "hybrid-debug": HybridConfig(
        mixture=configs.debug(),
        sequence=HOME_SEQUENCE.model_copy(update={"width": 16, "length": 16, "batch_tokens": 1024, "start": "random"}),
        sequence_events=50_000,
        fewest_epochs=1,
        history_length=16,
        width=8,
        top=10,
        drawn=10,
        folds=3,
        steps=20,
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of this name."""
    config = VALUES[name]

    def build() -> Model:
        from training.hybrid.model import HybridModel

        return HybridModel(config)

    is_debug = name == "hybrid-debug"
    return Recipe(name, build, config.model_dump(), takes_best=name == "default", is_quick=is_debug)
