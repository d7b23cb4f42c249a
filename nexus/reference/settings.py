"""The page of settings: every value, its variable, type, default and meaning.

Belongs here: reading the tree of :class:`nexus.settings.Settings`. Does not belong here: the settings themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from nexus.reference.markdown import page, table
from nexus.settings import ROOT, Settings


class Leaf(NamedTuple):
    """One value of the tree."""

    name: str
    kind: str
    default: str
    meaning: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "NEXUS_" + self.name.upper().replace(".", "__")


def leaves(model: type[BaseModel] = Settings, above: str = "") -> Iterator[Leaf]:
    """Every value, in the order of the declarations."""
    for name, field in model.model_fields.items():
        path = f"{above}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, f"{path}.")
        else:
            yield Leaf(path, _kind(field.annotation), _default(field), field.description or "")


def render() -> str:
    """The page."""
    how = (
        "Strongest first: the environment variable, `settings.toml` in the state folder (`[postgres]` then `port = 15432`), what the runtime "
        'wrote about its own parts, the default. A URL that is set means "use that server"; one that is not means the embedded part. '
        "Wrong, unknown and contradicting values are all named at once before anything starts."
    )
    areas: dict[str, list[Leaf]] = {}
    for leaf in leaves():
        areas.setdefault(leaf.name.partition(".")[0] if "." in leaf.name else "general", []).append(leaf)
    parts = []
    for area, found in areas.items():
        declared = Settings.model_fields.get(area)
        about = (declared.annotation.__doc__ or "") if declared is not None and declared.annotation else ""
        rows = [
            (f"`{leaf.name}`", f"`{leaf.variable}`", leaf.kind, f"`{leaf.default}`", leaf.meaning) for leaf in found
        ]
        lines = table(("setting", "variable", "type", "default", "meaning"), rows)
        parts.append("\n\n".join(filter(None, [f"## {area}", " ".join(about.split()), lines])))
    return page("Settings", "`nexus/settings.py`", how, *parts)


def _kind(annotation: Any) -> str:
    if annotation is SecretStr:
        return "secret text"
    if annotation is type(None):
        return "unset"
    options = get_args(annotation)
    if options and all(isinstance(option, str) for option in options):
        return ", ".join(options)
    origin = get_origin(annotation)
    if origin is tuple:
        return f"list of {_kind(options[0])}"
    if origin is dict:
        return f"map of {_kind(options[1])}"
    if options:
        return " or ".join(_kind(option) for option in options if option is not type(None))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"table of {', '.join(annotation.model_fields)}"
    plain = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "Path": "path"}
    return plain.get(getattr(annotation, "__name__", ""), str(annotation))


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, Path) and value.is_relative_to(ROOT):
        return str(value.relative_to(ROOT))
    return "unset" if value is None else "hidden" if isinstance(value, SecretStr) else str(value)
