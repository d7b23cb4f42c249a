"""A recipe with some of its values replaced, for sweeps.

Belongs here: replacing values, refusing those that a recipe has not. Does not belong here: which values are good ones (each
family's own module), what they mean (each model's configuration).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from nexus.errors import invalid
from training.recipes.registry import Recipe

if TYPE_CHECKING:
    from pydantic import BaseModel

    from training.models_api import Model


def with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with other values.

    Raises:
        NexusError: category ``invalid`` for a value that the recipe has not, or cannot have.
    """
    if not values:
        return recipe
    unknown = sorted(set(values) - set(recipe.values))
    if unknown or recipe.build is None:
        raise invalid(
            f"recipe {recipe.name} has no value {', '.join(unknown)}",
            field="overrides",
            value=dict(values),
            remedy=f"name some of {', '.join(sorted(recipe.values)) or 'another recipe'}",
        )
    build = recipe.build

    def changed() -> Model:
        model: Any = build()
        config = cast("BaseModel", model.config)
        try:
            other = type(config).model_validate(config.model_dump() | dict(values))
        except ValidationError as error:
            raise invalid(
                f"recipe {recipe.name}: {error.errors()[0]['msg']}",
                field="overrides",
                value=dict(values),
                remedy="see bin/nexus train --list for what recipes are",
            ) from None
        return cast("Model", replace(model, config=other))

    return replace(recipe, values=recipe.values | dict(values), build=changed)
