"""Which recipes there are: ``bin/nexus train --list``.

Belongs here: names, one line about each, and where it is built. Does not belong here: values (one module per family), code
that uses them.

A recipe's module is imported when the recipe is asked for, not before: the list stays light.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nexus.errors import not_found
from training.models_api import Model


@dataclass(frozen=True, slots=True)
class Recipe:
    """Named values and the model that they build.

    Attributes:
        name: As given to ``bin/nexus train``.
        build: Makes the model; None: the floors alone are judged, the best of them on validation is the model.
        values: Plain values, for the summary.
        takes_best: Whether a floor that ranks the validation titles better than the model is taken instead of it.
        is_quick: Whether floors take their first settings instead of searching for the best.
    """

    name: str
    build: Callable[[], Model] | None
    values: dict[str, Any] = field(default_factory=dict)
    takes_best: bool = False
    is_quick: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the list.

    Attributes:
        name: As given to ``bin/nexus train``.
        words: What it is, and how long it takes, in one line.
        module: Where it is built.
        function: Called with ``name``, gives the :class:`Recipe`.
    """

    name: str
    words: str
    module: str
    function: str = "recipe"


RECIPES: tuple[Listed, ...] = (
    Listed(
        "default",
        "what bin/nexus up trains: the hybrid of attention mixture, sequence transformer and counts, chosen on validation titles; minutes",
        "training.recipes.hybrid",
    ),
    Listed("mixture", "the attention mixture alone; a minute", "training.recipes.mixture"),
    Listed(
        "debug",
        "a tiny attention mixture that trains in seconds, to see that all is in place",
        "training.recipes.mixture",
    ),
    Listed(
        "floors", "counting and linear algebra only; the best of them on validation titles", "training.recipes.mixture"
    ),
    Listed("sequence-debug", "a tiny sequence transformer that trains in seconds", "training.recipes.sequence"),
    Listed(
        "sequence-small",
        "a sequence transformer for a home's library (a few hundred viewers); minutes on two cores",
        "training.recipes.sequence",
    ),
    Listed(
        "sequence-mixture",
        "sequence-small with a mixture of logits instead of the dot product; 5 to 11 times slower, and worse on small data",
        "training.recipes.sequence",
    ),
    Listed(
        "sequence-cpu",
        "a sequence transformer for a million events; under an hour on two cores",
        "training.recipes.sequence",
    ),
    Listed(
        "sequence-night", "a deeper one, for a night on two cores; its values are untried", "training.recipes.sequence"
    ),
    Listed("sequence-gpu", "the largest, for a GPU; its values are untried", "training.recipes.sequence"),
    Listed(
        "hybrid-large",
        "the hybrid with the sequence transformer of sequence-cpu, for a million events; an hour on two cores",
        "training.recipes.hybrid",
    ),
    Listed("hybrid-counts", "the hybrid of counted parts alone, for larger data", "training.recipes.hybrid"),
    Listed(
        "content",
        "titles by genres, year and (with --vectors) text, also titles that nobody watched; a minute",
        "training.recipes.content",
    ),
    Listed("content-debug", "the same in seconds", "training.recipes.content"),
    Listed("hybrid-debug", "a tiny hybrid that trains in seconds", "training.recipes.hybrid"),
)


def named(name: str) -> Recipe:
    """A recipe by its name.

    Raises:
        NexusError: category ``not_found``.
    """
    for listed in RECIPES:
        if listed.name == name:
            found: Recipe = getattr(importlib.import_module(listed.module), listed.function)(name)
            return found
    raise not_found(
        "no such recipe",
        field="RECIPE",
        value=name,
        remedy=f"one of {', '.join(listed.name for listed in RECIPES)} (bin/nexus train --list explains them)",
    )
