"""Reading settings: every source, every mistake, one error.

Belongs here: building a tree from its sources and collecting what is wrong with it. Does not belong here: the tree
(nexus.settings), rules over several values (nexus.settings_rules).
"""

from __future__ import annotations

import contextlib
import copy
import os
import tomllib
from typing import Any, TypeVar, cast

from pydantic import ValidationError, create_model, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from nexus import settings_rules
from nexus.errors import NexusError

Tree = TypeVar("Tree", bound=BaseSettings)


class Environment(EnvSettingsSource):
    """The environment; a value that should be JSON and is not stays text, so that it is named with the other wrong ones."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """JSON, or the text as it is."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def build(kind: type[Tree], **overrides: Any) -> Tree:
    """The settings as this class reads them, checked whole: types, names, and whether they go together.

    Raises:
        NexusError: category ``invalid``; ``evidence["problems"]`` lists field, reason and value of each.
    """
    problems = settings_rules.unknown_variables(os.environ, kind)
    try:
        built: Any = kind(**overrides)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise NexusError(
            f"settings.toml in the state folder cannot be read: {error}",
            field="settings.toml",
            remedy="mend the line that the message names, or move the file away",
        ) from None
    except ValidationError as error:
        problems = [*_explained(error, kind), *problems]
        built = _what_is_right(kind, error, overrides)
    if built is not None:
        problems += settings_rules.contradictions(built)
    if problems:
        raise wrong(problems)
    return cast("Tree", built)


def wrong(problems: list[settings_rules.Problem]) -> NexusError:
    """The one error for all of them."""
    listed = "; ".join(
        f"{p['field']}: {p['reason']}" + (f" (got {p['value']})" if p["value"] else "") for p in problems
    )
    return NexusError(
        f"wrong settings: {listed}",
        field=problems[0]["field"],
        remedy="mend them in the environment (NEXUS_<AREA>__<NAME>) or in settings.toml in the state folder",
        problems=problems,
    )


def _explained(error: ValidationError, kind: type[BaseSettings]) -> list[settings_rules.Problem]:
    """Each wrong value by its name; an unknown name with the one that was probably meant."""
    known = list(settings_rules.leaves(kind))
    found = []
    for item in error.errors(include_url=False, include_context=False):
        field = ".".join(map(str, item["loc"])) or "settings"
        reason = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            meant = settings_rules.near(field, known)
            reason = "no such setting" + (f"; did you mean {meant}?" if meant else "")
        found.append({"field": field, "reason": reason, "value": settings_rules.shown(field, item.get("input"))})
    return found


def _what_is_right(kind: type[BaseSettings], error: ValidationError, overrides: dict[str, Any]) -> Any:
    """The tree without its wrong values, so that contradictions among the others are named too; None: there is none."""
    given: dict[str, Any] = {}

    class Seen(kind):  # type: ignore[misc, valid-type]
        @model_validator(mode="before")
        @classmethod
        def _see(cls, data: dict[str, Any]) -> dict[str, Any]:
            given.update(copy.deepcopy(data))
            return data

    with contextlib.suppress(ValidationError):
        Seen(**overrides)
    for item in error.errors(include_url=False, include_context=False):
        _drop(given, item["loc"])
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in kind.model_fields.items()}
    tree = create_model("Partial", **fields)
    try:
        return tree(**given)
    except ValidationError:
        return None


def _drop(given: dict[str, Any], path: tuple[int | str, ...]) -> None:
    """Leave out the value that a path leads to, or the nearest one above it."""
    here: Any = given
    for key in path:
        below = here.get(key) if isinstance(here, dict) else None
        if not isinstance(below, dict) or key == path[-1]:
            if isinstance(here, dict):
                here.pop(key, None)
            return
        here = below
