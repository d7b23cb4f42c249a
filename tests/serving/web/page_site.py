"""A small stand-in for the API, so that the page can be tested in states a healthy server does not show.

Belongs here: answers in the contract's shapes, switches for failures, the real security headers.
Does not belong here: the real API (tests of the page against it are integration tests of the whole).
"""

from __future__ import annotations

import json
import mimetypes
import threading
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import ownership_site

import serving
from serving.responses import SECURITY_HEADERS

WEB = Path(serving.__file__).parent / "web"
TITLES = [
    ("Heat", 1995, "Action|Crime|Thriller"),
    ("Matrix, The", 1999, "Action|Sci-Fi|Thriller"),
    ("Fargo", 1996, "Comedy|Crime|Drama|Thriller"),
    ("Usual Suspects, The", 1995, "Crime|Mystery|Thriller"),
    ("Toy Story", 1995, "Adventure|Animation|Children|Comedy|Fantasy"),
    ("Monsoon Wedding", 2001, "Comedy|Romance"),
    ("Blade Runner", 1982, "Action|Sci-Fi|Thriller"),
    ("Shining, The", 1980, "Horror"),
    ("Amélie", 2001, "Comedy|Romance"),
    ("Seven Samurai", 1954, "Action|Adventure|Drama"),
    ("Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb", 1964, "Comedy|War"),
    ("Spirited Away", 2001, "Adventure|Animation|Fantasy"),
    ("Unforgiven", 1992, "Drama|Western"),
    ("Stop Making Sense", 1984, "Documentary|Musical"),
    ("Lawrence of Arabia", 1962, "Adventure|Drama|War"),
    ("Rear Window", 1954, "Mystery|Thriller"),
    ("Alien", 1979, "Horror|Sci-Fi"),
    ("Princess Bride, The", 1987, "Action|Adventure|Comedy|Fantasy|Romance"),
    ("Casablanca", 1942, "Drama|Romance"),
    ("Grand Budapest Hotel, The", 2014, "Comedy|Drama"),
    ("M", 1931, "Crime|Film-Noir|Thriller"),
    ("Chungking Express", 1994, "Drama|Mystery|Romance"),
    ("Gattaca", 1997, "Drama|Sci-Fi|Thriller"),
    ("Paris, Texas", 1984, "Drama|Romance"),
]
HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
STEPS = ["store_content", "embed_text", "find_similar", "find_likely_viewers", "publish_events"]


def _title(number: int, name: str, year: int, genres: str) -> dict[str, Any]:
    return {
        "content_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"movie-{number}")),
        "external_ids": [f"movielens:{number}"],
        "title": name,
        "year": year,
        "genres": genres.split("|"),
    }


@dataclass
class State:
    """What the stand-in knows, and how it is told to misbehave."""

    titles: list[dict[str, Any]] = field(
        default_factory=lambda: [_title(number, *title) for number, title in enumerate(TITLES, 1)]
    )
    events: list[dict[str, Any]] = field(default_factory=list)
    added: list[dict[str, Any]] = field(default_factory=list)
    polls: int = 0
    is_cancelled: bool = False
    failures: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    is_empty: bool = False
    source: str = "champion"
    owned: ownership_site.Owned = field(default_factory=ownership_site.Owned)
    release: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.release.set()

    def gone(self) -> set[str]:
        """Titles that are seen or hidden."""
        hidden = {event["content"] for event in self.events if event["type"] != "unhide"}
        return hidden - {event["content"] for event in self.events if event["type"] == "unhide"}


def _history(state: State) -> dict[str, Any]:
    if state.is_empty:
        return {"items": []}
    by_id = {title["content_id"]: title for title in state.titles}
    fresh = [
        {"content_id": one["content"], "title": by_id[one["content"]]["title"], "type": one["type"], "at": one["at"]}
        | ({"value": one["value"]} if "value" in one else {"value": None})
        for one in reversed(state.events)
        if one["type"] in {"rate", "view"}
    ]
    old = [
        {
            "content_id": title["content_id"],
            "title": title["title"],
            "year": title["year"],
            "genres": title["genres"],
            "type": "rate",
            "value": 5.0 - index * 0.5,
            "at": f"2009-12-{14 - index:02d}T02:44:{index:02d}Z",
        }
        for index, title in enumerate(state.titles[:9])
    ]
    return {"items": fresh + old}


def _recommendations(state: State, limit: int) -> dict[str, Any]:
    left = [] if state.is_empty else [one for one in state.titles[9:] if one["content_id"] not in state.gone()]
    seen = state.titles[:9]
    items = []
    for index, title in enumerate(left[:limit]):
        because = [seen[index % 9], seen[(index * 3 + 1) % 9]]
        because = because[:1] if because[0] is because[1] else because
        text = "Because you watched " + " and ".join(one["title"] for one in because)
        items.append(
            title
            | {
                "score": 4.2 - index * 0.23,
                "is_new": index == 3,
                "reason": {
                    "text": text,
                    "because": [
                        {"content_id": one["content_id"], "title": one["title"], "contribution": 0.9 - 0.35 * place}
                        for place, one in enumerate(because)
                    ],
                },
            }
        )
    return {"items": items, "source": state.source, "model_version": "3"}


def _models() -> dict[str, Any]:
    floors = {
        "popularity": {"ndcg_at_10": 0.046, "hr_at_10": 0.093},
        "transitions": {"ndcg_at_10": 0.083, "hr_at_10": 0.158},
        "ease": {"ndcg_at_10": 0.078, "hr_at_10": 0.149},
    }
    model = {
        "version": "3",
        "aliases": ["champion"],
        "metrics": {"ndcg_at_10": 0.094, "hr_at_10": 0.178},
        "floors": floors,
        "data_hash": "9f2c41a07be3",
        "created_at": "2025-11-23T06:40:00Z",
        "protocol": "leave the last rating out; all titles ranked; seen titles removed",
    }
    old = model | {"version": "2", "aliases": ["previous"], "metrics": {"ndcg_at_10": 0.089, "hr_at_10": 0.17}}
    return {"models": [model, old], "current": "3"}


def _operation(state: State) -> dict[str, Any]:
    state.polls += 2
    finished = min(state.polls - 2, len(STEPS))
    steps = [
        {
            "name": name,
            "state": "completed" if index < finished else "running" if index == finished else "pending",
            "started_at": "2025-11-23T06:40:00Z" if index <= finished else None,
            "finished_at": "2025-11-23T06:40:01.250Z" if index < finished else None,
        }
        for index, name in enumerate(STEPS)
    ]
    if state.is_cancelled:
        return {"state": "cancelled", "steps": steps, "result": None}
    if finished < len(STEPS):
        return {"state": "running", "steps": steps, "result": None}
    result: dict[str, Any] = {
        "content_id": state.titles[0]["content_id"],
        "title": "Heat",
        "similar": [title | {"score": 0.7} for title in state.titles[1:5]],
        "audience": [{"user_id": str(uuid.uuid5(uuid.NAMESPACE_URL, "u7")), "score": 0.8}],
    }
    return {"state": "completed", "steps": steps, "result": result}


def problem(status: int, detail: str, **more: str) -> tuple[int, dict[str, Any]]:
    """Problem details."""
    return status, {"type": "urn:nexus:problem:test", "title": "Kind", "status": status, "detail": detail} | more


def answer(state: State, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:  # noqa: C901
    """One answer in the contract's shape."""
    for prefix, failure in state.failures.items():
        if path.startswith(prefix):
            return failure
    limit = int(query.get("limit", "10"))
    match [unquote(part) for part in path.strip("/").split("/")]:
        case ["v1", "users"]:
            people = [
                {
                    "user_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"u{number}")),
                    "external_ids": [f"movielens:{number}"],
                    "name": None,
                    "interactions": 20 + number * 37 % 211,
                }
                for number in range(1, 672)
            ]
            wanted = query.get("q", "")
            found = [one for one in people if wanted in one["external_ids"][0] or wanted == one["user_id"]]
            return 200, {"items": found[:limit]}
        case ["v1", "users", user, _] if user.startswith("web:") and not state.events:
            return problem(404, "no such viewer", field="user", value=user, remedy="GET /v1/users lists them")
        case ["v1", "users", _, "history"]:
            return 200, _history(state)
        case ["v1", "users", _, "recommendations"]:
            state.release.wait(10)
            return 200, _recommendations(state, limit)
        case ["v1", "search"]:
            words = query["q"].lower()
            found = [one for one in state.titles if words in one["title"].lower()] or state.titles[:12]
            return 200, {"items": [] if words == "nothing" else [one | {"score": 0.5} for one in found]}
        case ["v1", "content", _, "similar"]:
            return 200, {"items": [one | {"score": 0.6} for one in state.titles[4 : 4 + limit]]}
        case ["v1", "content", ref] if method == "GET":
            found = [one for one in state.titles if one["content_id"] == ref]
            more = {"content_type": "movie", "overview": None, "interactions": 321, "mean_value": 3.91}
            return (200, found[0] | more) if found else problem(404, "no such title", field="content", value=ref)
        case ["v1", "content"]:
            state.added.append(body)
            if body.get("year") == 1871:
                return problem(422, "year is before the first film", field="year", remedy="send a later year")
            return 202, {"operation_id": "ingest-1"}
        case ["v1", "operations", _, "cancel"]:
            state.is_cancelled = True
            return 202, {"state": "cancelled"}
        case ["v1", "operations", name] if not name.startswith("mint-"):
            return 200, _operation(state)
        case ["v1", "events"]:
            state.events.extend(body["events"])
            return 202, {"accepted": len(body["events"]), "refused": []}
        case ["v1", "models"]:
            return 200, _models()
        case ["health", "ready"]:
            return 200, {"status": "ready", "parts": {"postgres": "up", "redis": "up", "mlflow": "unknown"}}
    if (found := ownership_site.answer(state.owned, method, path, body)) is not None:
        return found
    return problem(404, "there is nothing at this path")


class Handler(BaseHTTPRequestHandler):
    """Serves the page's real files, and the answers above."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def _handle(self) -> None:
        state: State = self.server.state  # type: ignore[attr-defined]
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        static = WEB / ("index.html" if url.path == "/" else url.path.removeprefix("/web/"))
        if url.path == "/" or (url.path.startswith("/web/") and static.is_file()):
            kind = "font/woff2" if static.suffix == ".woff2" else mimetypes.guess_type(static.name)[0]
            self._send(200, static.read_bytes(), kind or "application/octet-stream")
            return
        status, content = answer(state, self.command, url.path, query, body)
        self._send(status, json.dumps(content).encode(), f"application/{'problem+' if status >= 400 else ''}json")

    def _send(self, status: int, payload: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {**SECURITY_HEADERS, "content-security-policy": "default-src 'self'"}.items():
            self.send_header(name, value)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815 - the names http.server calls


class Site:
    """The stand-in, running on a free port."""

    def __init__(self) -> None:
        self.state = State()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.state = self.state  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def renew(self) -> State:
        """A healthy state for the next test."""
        self.state = self._server.state = State()  # type: ignore[attr-defined]
        return self.state

    def close(self) -> None:
        """Stop."""
        self.state.release.set()
        self._server.shutdown()
        self._server.server_close()
