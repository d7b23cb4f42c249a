"""What Jellyfin's items say, as rows of the raw tables.

Belongs here: from the shapes of Jellyfin's OpenAPI document (BaseItemDto, UserItemDataDto) to text as read; what cannot
be understood is a row with its problem. Does not belong here: HTTP, paging, judging values (layer core).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TYPES = {
    "Movie": "movie",
    "Series": "series",
    "Season": "season",
    "Episode": "episode",
    "Trailer": "trailer",
    "Video": "clip",
    "MusicVideo": "clip",
    "Audio": "song",
    "MusicAlbum": "album",
    "AudioBook": "audiobook",
}
_TITLE_FIELDS = (
    "Id",
    "Name",
    "Type",
    "ProductionYear",
    "Genres",
    "Overview",
    "ProviderIds",
    "SeriesName",
    "ParentIndexNumber",
    "IndexNumber",
)
DATED = ":view:"
"""In the id of an event whose time Jellyfin knows."""
Row = dict[str, Any]


class _OddError(Exception):
    """A field that is missing or of another type."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field, self.problem = field, problem


def key(item: object) -> str:
    """What an item is known by while its list is read: its id, else its content."""
    found = item.get("Id") if isinstance(item, dict) else None
    return found if isinstance(found, str) and found else f"?{digest(as_text(item))}"


def as_text(item: object) -> str:
    """The item as JSON, always the same."""
    return json.dumps(item, ensure_ascii=False, sort_keys=True, separators=(",", ":")).replace("\0", "\\u0000")


def digest(text: str) -> str:
    """A short name of a text."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:24]


def title(item: object) -> Row:
    """A row of raw_jellyfin__titles."""
    kept = {name: item[name] for name in _TITLE_FIELDS if name in item} if isinstance(item, dict) else item
    row: Row = {"raw_text": as_text(kept)}
    try:
        fields = _object(item, "item")
        providers = {
            name.lower(): value for name, value in _object(fields.get("ProviderIds") or {}, "ProviderIds").items()
        }
        genres = _list(fields.get("Genres"), "Genres")
        kind = fields.get("Type")
        return row | {
            "content_ref": _identifier(fields),
            "title": _name(fields),
            "content_type": _TYPES.get(str(kind), "other"),
            "year": _text(fields.get("ProductionYear")),
            "genres": "|".join(str(genre).replace("|", "/") for genre in genres),
            "overview": _text(fields.get("Overview")),
            "imdb_ref": _text(providers.get("imdb")),
            "tmdb_ref": _text(providers.get("tmdb")),
            "tvdb_ref": _text(providers.get("tvdb")),
        }
    except _OddError as odd:
        return row | {"problem_field": odd.field, "problem": odd.problem}


def _name(fields: Mapping[str, Any]) -> str | None:
    name = _text(fields.get("Name"))
    series = _text(fields.get("SeriesName"))
    if fields.get("Type") != "Episode" or not series:
        return name
    season, episode = fields.get("ParentIndexNumber"), fields.get("IndexNumber")
    if isinstance(season, int) and isinstance(episode, int):
        return f"{series} S{season:02}E{episode:02}: {name}"
    return f"{series}: {name}"


def events(user: str, item: object, *, now: datetime) -> Iterator[Row]:
    """Rows of raw_jellyfin__interactions: what a viewer did with an item, one per event, each with an id of its own.

    Args:
        user: The viewer's id.
        item: An item with the viewer's ``UserData``.
        now: The time of the pull: when something happened that Jellyfin gives no time for.
    """
    data = item.get("UserData") if isinstance(item, dict) else None
    about = {"UserId": user, "Id": item.get("Id") if isinstance(item, dict) else None, "UserData": data}
    text = as_text(about)
    row: Row = {"user_ref": user, "raw_text": text, "value_scale": "0 to 100", "value_min": 0.0, "value_max": 100.0}
    try:
        fields = _object(item, "item")
        ref = _identifier(fields)
        said = _object(data, "UserData")
        played = _flag(said, "Played")
        at = _moment(said.get("LastPlayedDate"))
        row |= {"content_ref": ref}
        position, count = _number(said, "PlaybackPositionTicks"), _number(said, "PlayCount")
        if played or at is not None or position or count:
            share = 100.0 if played else said.get("PlayedPercentage")
            name = ":view" if at is None else f"{DATED}{at}"
            value = None if share is None else _text(share)
            yield (
                row | {"interaction_type": "view", "value": value, "event_ref": f"{user}:{ref}{name}"} | _at(at, now)
            )
        likes = said.get("Likes")
        if _flag(said, "IsFavorite") or likes is True:
            yield row | {"interaction_type": "like", "event_ref": f"{user}:{ref}:like"} | _at(at, now)
        elif likes is False:
            yield row | {"interaction_type": "dislike", "event_ref": f"{user}:{ref}:dislike"} | _at(at, now)
    except _OddError as odd:
        yield row | {"problem_field": odd.field, "problem": odd.problem, "event_ref": f"problem:{digest(text)}"}


def broken_user(user: object) -> Row:
    """The row of a viewer without an id."""
    text = as_text({"Id": user.get("Id") if isinstance(user, dict) else None})
    return {
        "raw_text": text,
        "problem_field": "Id",
        "problem": "the viewer has no id",
        "event_ref": f"problem:{digest(text)}",
    }


def user_id(user: object) -> str | None:
    """The id of a UserDto; None when it has none."""
    found = user.get("Id") if isinstance(user, dict) else None
    return found if isinstance(found, str) and found.strip() else None


def _at(at: int | None, now: datetime) -> Row:
    return {"occurred_at": str(at if at is not None else (now - _EPOCH) // _MICROSECOND)}


def _identifier(fields: Mapping[str, Any]) -> str:
    found = fields.get("Id")
    if not isinstance(found, str) or not found.strip():
        raise _OddError("Id", "is missing" if found is None else "is no id")
    return found


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _OddError(name, "is missing" if value is None else "is no object")
    return value


def _list(value: object, name: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise _OddError(name, "is no list")
    return value or []


def _flag(fields: Mapping[str, Any], name: str) -> bool:
    found = fields.get(name)
    if found is not None and not isinstance(found, bool):
        raise _OddError(name, "is neither true nor false")
    return bool(found)


def _number(fields: Mapping[str, Any], name: str) -> float:
    found = fields.get(name)
    if found is not None and (isinstance(found, bool) or not isinstance(found, int | float)):
        raise _OddError(name, "is no number")
    return found or 0


def _moment(value: object) -> int | None:
    """Microseconds since 1970; Jellyfin writes UTC, with seven digits behind the point, sometimes without the Z."""
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        at = at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
    except ValueError:
        at = None
    if at is None:
        raise _OddError("LastPlayedDate", "is no time")
    # The year 1 is how Jellyfin's platform writes "never".
    return None if at.year <= 1 else (at - _EPOCH) // _MICROSECOND


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value.replace("\0", "") if isinstance(value, str) else None
    return json.dumps(value, ensure_ascii=False)
