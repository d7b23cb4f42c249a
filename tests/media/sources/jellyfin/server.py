"""A Jellyfin that answers in the shapes of its OpenAPI document (10.10 to 12.0), with faults on demand.

The shapes below are reduced to what is used; every answer of the server is checked against them before it is sent, so
the tests cannot drift from the document. A real HTTP server: headers, statuses and broken bodies travel as they would.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema_rs

KEY = "0123456789abcdef0123456789abcdef"
_DATE = {"type": ["string", "null"], "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z?$"}
_ID = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
USER_DATA = {
    "type": "object",
    "required": ["Key"],
    "properties": {
        "Rating": {"type": ["number", "null"]},
        "PlayedPercentage": {"type": ["number", "null"]},
        "UnplayedItemCount": {"type": ["integer", "null"]},
        "PlaybackPositionTicks": {"type": "integer"},
        "PlayCount": {"type": "integer"},
        "IsFavorite": {"type": "boolean"},
        "Likes": {"type": ["boolean", "null"]},
        "LastPlayedDate": _DATE,
        "Played": {"type": "boolean"},
        "Key": {"type": "string"},
        "ItemId": _ID,
    },
}
ITEM = {
    "type": "object",
    "properties": {
        "Name": {"type": ["string", "null"]},
        "ServerId": {"type": ["string", "null"]},
        "Id": _ID,
        "DateCreated": _DATE,
        "Overview": {"type": ["string", "null"]},
        "Genres": {"type": ["array", "null"], "items": {"type": "string"}},
        "ProductionYear": {"type": ["integer", "null"]},
        "IndexNumber": {"type": ["integer", "null"]},
        "ParentIndexNumber": {"type": ["integer", "null"]},
        "ProviderIds": {"type": ["object", "null"], "additionalProperties": {"type": ["string", "null"]}},
        "Type": {"enum": ["Movie", "Series", "Season", "Episode", "Video", "MusicVideo", "Audio"]},
        "UserData": {"oneOf": [USER_DATA, {"type": "null"}]},
        "SeriesName": {"type": ["string", "null"]},
        "MediaType": {"enum": ["Unknown", "Video", "Audio", "Photo", "Book"]},
    },
}
SHAPES: dict[str, Any] = {
    "/System/Info/Public": {"type": "object", "properties": {"Id": _ID, "Version": {"type": "string"}}},
    "/Users": {
        "type": "array",
        "items": {"type": "object", "properties": {"Name": {"type": "string"}, "Id": _ID, "LastLoginDate": _DATE}},
    },
    "/Items": {
        "type": "object",
        "properties": {
            "Items": {"type": "array", "items": ITEM},
            "TotalRecordCount": {"type": "integer"},
            "StartIndex": {"type": "integer"},
        },
    },
}
PARAMETERS = frozenset(
    [
        "userId",
        "startIndex",
        "limit",
        "recursive",
        "includeItemTypes",
        "fields",
        "filters",
        "sortBy",
        "sortOrder",
        "isPlayed",
        "enableUserData",
        "enableImages",
        "enableTotalRecordCount",
    ]
)
FILTERS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "IsResumable": lambda data: data.get("PlaybackPositionTicks", 0) > 0,
    "IsFavoriteOrLikes": lambda data: bool(data.get("IsFavorite") or data.get("Likes")),
    "Dislikes": lambda data: data.get("Likes") is False,
}


def item_id(number: int) -> str:
    """The id of an item, as Jellyfin writes them."""
    return uuid.UUID(int=number).hex


def movie(number: int, **more: Any) -> dict[str, Any]:
    """A BaseItemDto with the fields that a real answer has."""
    found = {
        "Name": f"Movie {number}",
        "ServerId": item_id(999),
        "Id": item_id(number),
        "DateCreated": f"2024-01-01T00:{number // 60 % 60:02}:{number % 60:02}.0000000Z",
        "Overview": f"What happens in movie {number}.",
        "Genres": ["Drama", "Comedy"],
        "ProductionYear": 1990 + number % 30,
        "ProviderIds": {"Imdb": f"tt{number:07}", "Tmdb": str(number)},
        "Type": "Movie",
        "MediaType": "Video",
        "ImageTags": {},
        "LocationType": "FileSystem",
        "RunTimeTicks": 72_000_000_000,
    }
    return found | more


def seen(number: int, at: str | None = None, **more: Any) -> dict[str, Any]:
    """A UserItemDataDto of something played to its end."""
    data = {
        "PlaybackPositionTicks": 0,
        "PlayCount": 1,
        "IsFavorite": False,
        "Played": True,
        "LastPlayedDate": at,
        "Key": str(number),
        "ItemId": item_id(number),
    }
    return data | more


@dataclass
class Fault:
    """An answer in place of the next one."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None


@dataclass
class FakeJellyfin:
    """A library, its viewers, and what is to go wrong."""

    movies: list[dict[str, Any]] = field(default_factory=list)
    users: list[Any] = field(default_factory=list)
    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: deque[Fault | None] = field(default_factory=deque)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    before_page: Callable[[FakeJellyfin, dict[str, str]], None] | None = None
    is_shaped: bool = True
    errors: list[Exception] = field(default_factory=list)
    url: str = ""

    def add_viewer(self, number: int) -> str:
        """A viewer; returns the id."""
        user = item_id(number)
        self.users.append({"Name": f"viewer {number}", "ServerId": item_id(999), "Id": user, "HasPassword": True})
        self.data[user] = {}
        return user

    def plays(self, user: str, number: int, at: str | None, **more: Any) -> None:
        """What a viewer did with a movie."""
        self.data[user][item_id(number)] = seen(number, at, **more)

    def answer(self, path: str, query: dict[str, str]) -> Any:
        """The JSON of an answer."""
        if path == "/System/Info/Public":
            return {"Id": item_id(999), "ServerName": "home", "Version": "10.10.7", "ProductName": "Jellyfin Server"}
        if path == "/Users":
            return self.users
        if path != "/Items":
            return None
        unknown = set(query) - PARAMETERS
        if unknown:
            raise ValueError(f"the API has no such parameters: {unknown}")
        if self.before_page is not None:
            self.before_page(self, query)
        found = self.listed(query)
        start, limit = int(query["startIndex"]), int(query["limit"])
        return {"Items": found[start : start + limit], "TotalRecordCount": len(found), "StartIndex": start}

    def listed(self, query: dict[str, str]) -> list[Any]:
        """Every item that fits, in order."""
        user = query.get("userId")
        types = set(query["includeItemTypes"].split(","))
        movies = [item for item in self.movies if not isinstance(item, dict) or item.get("Type") in types]
        if user is None:
            return sorted(movies, key=lambda item: item.get("DateCreated") or "", reverse=True)
        data = self.data[user]
        none = seen(0, None, Played=False, PlayCount=0)
        rows = [(item, data.get(item.get("Id"), none)) for item in movies]
        if query.get("isPlayed") == "true":
            rows = [(item, said) for item, said in rows if said is None or said.get("Played") is not False]
            rows.sort(key=lambda row: str((row[1] or {}).get("LastPlayedDate") or ""), reverse=True)
        for name in filter(None, query.get("filters", "").split(",")):
            rows = [(item, said) for item, said in rows if said and FILTERS[name](said)]
        return [item | {"UserData": said} for item, said in rows]


def _handler(fake: FakeJellyfin) -> type[BaseHTTPRequestHandler]:  # noqa: C901 the class is told its server
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            fake.requests.append((parts.path, query))
            fault = fake.faults.popleft() if fake.faults else None
            if fault is not None:
                self._send(fault.status, fault.body, fault.headers, fault.cut_at)
            elif self.headers["Authorization"].partition(",")[0] != f'MediaBrowser Token="{KEY}"':
                self._send(401, b"", {})
            else:
                self._answer(parts.path, query)

        def _answer(self, path: str, query: dict[str, str]) -> None:
            try:
                self._send_json(path, fake.answer(path, query))
            except ConnectionError:
                self.close_connection = True  # the client gave up
            except Exception as error:  # noqa: BLE001 the test is told of it
                fake.errors.append(error)
                self._send(418, b"", {})

        def _send_json(self, path: str, found: Any) -> None:
            if found is None:
                self._send(404, b"", {})
                return
            if fake.is_shaped:
                jsonschema_rs.validate(SHAPES[path], found)
            body = json.dumps(found).encode()
            self._send(200, body, {"Content-Type": "application/json; charset=utf-8"})

        def _send(self, status: int, body: bytes, headers: dict[str, str], cut_at: int | None = None) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if cut_at is None else body[:cut_at])
            if cut_at is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the name that the base class gives
            """Say nothing."""

    return Handler


@contextmanager
def serving(fake: FakeJellyfin) -> Iterator[FakeJellyfin]:
    """The server on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
