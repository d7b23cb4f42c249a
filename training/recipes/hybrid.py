"""The recipes of the hybrid: one learned ranker over the attention mixture, counts, EASE, nearest neighbours and facts of titles.

Belongs here: values, and which model they build. Does not belong here: what a value means (training.hybrid.config), how it is
learned (training.hybrid).

Values were chosen on validation titles.
"""

from __future__ import annotations

from training import config as configs
from training.hybrid.config import HybridConfig
from training.models_api import Model
from training.recipes.registry import Recipe

VALUES: dict[str, HybridConfig] = {
    "hybrid": HybridConfig(),
    "hybrid-counts": HybridConfig(mixture=None),
    "hybrid-debug": HybridConfig(
        mixture=configs.debug(),
        history_length=16,
        width=8,
        targets=2,
        earliest=2,
        hard=10,
        drawn=10,
        strengths=(1e-3,),
        steps=30,
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of this name."""
    config = VALUES[name]

    def build() -> Model:
        from training.hybrid.model import HybridModel

        return HybridModel(config)

    return Recipe(name, build, config.model_dump(), is_quick=name == "hybrid-debug")
