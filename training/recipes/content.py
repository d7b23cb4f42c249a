"""The recipes of the content model: titles by what is known about them, also those that nobody watched.

Belongs here: values, and which model they build. Does not belong here: what a value means (training.content.config), how it
is learned (training.content).

Penalties and queries are chosen on validation titles in each run.
"""

from __future__ import annotations

from training.content.config import ContentConfig
from training.models_api import Model
from training.recipes.registry import Recipe

VALUES: dict[str, ContentConfig] = {
    "content": ContentConfig(),
    "content-debug": ContentConfig(text_width=8, ridges=(1.0,), queries=((5, 0.8),), ease_viewers=200, examples=200),
}


def recipe(name: str) -> Recipe:
    """The recipe of this name."""
    config = VALUES[name]

    def build() -> Model:
        from training.content.model import ContentModel

        return ContentModel(config)

    return Recipe(name, build, config.model_dump(), is_quick=name == "content-debug")
