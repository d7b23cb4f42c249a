"""Pulling a Jellyfin server into the raw tables: each title and each event once, going on where the last pull ended.

The cursor is what is committed: a viewer's plays are read newest first until a whole page is known and older than the
newest committed play, less a few days; new rows are committed oldest first, so that a pull that dies leaves no gap.
Belongs here: what is asked for, in which order it is committed. Does not belong here: HTTP, paging, shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

import polars as pl
import pyarrow as pa

from media.sources.jellyfin import shapes
from media.sources.jellyfin.client import Client
from media.sources.jellyfin.walk import IsEnough, Page, walk
from nexus.errors import Category, NexusError
from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake
from nexus.settings import JellyfinSettings

TITLES, INTERACTIONS = "raw_jellyfin__titles", "raw_jellyfin__interactions"
OVERLAP = timedelta(days=7)
"""How far behind the newest committed play a pull looks again: for plays that devices report late."""

_COMMIT_ROWS = 20_000
_LISTS = {
    "resumable": {"filters": "IsResumable"},
    "liked": {"filters": "IsFavoriteOrLikes"},
    "disliked": {"filters": "Dislikes"},
}


@dataclass
class Pulled:
    """What a pull did.

    Attributes:
        rows: New rows.
        read: Items read.
        viewers: Viewers asked for.
        cursors: Viewer -> newest committed play, ISO 8601.
        gone: Viewers that were gone when their turn came.
    """

    rows: int = 0
    read: int = 0
    viewers: int = 0
    cursors: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)


class Puller:
    """One pull from one server into one lake."""

    def __init__(self, lake: Lake, client: Client, settings: JellyfinSettings) -> None:
        self._lake, self._client, self._settings = lake, client, settings
        self._now = datetime.now(UTC)
        self._server: str | None = None

    def titles(self) -> Pulled:
        """Append the titles of the library that are new or changed.

        Raises:
            NexusError: the server gives no whole answer, or refuses; what was committed stays.
        """
        done = Pulled()
        known = self._known_titles()

        def fresh() -> Iterator[shapes.Row]:
            parameters = self._parameters() | {
                "sortBy": "DateCreated,SortName",
                "sortOrder": "Descending",
                "fields": "Genres,Overview,ProviderIds",
                "enableUserData": "false",
            }
            for item in self._walk(parameters):
                done.read += 1
                row = shapes.title(item)
                if shapes.digest(row["raw_text"]) not in known:
                    yield row

        for rows in _in_parts(fresh()):
            done.rows += self._commit(TITLES, "library", rows)
        return done

    def interactions(self) -> Pulled:
        """Append what viewers did and is not known yet, viewer by viewer.

        Raises:
            NexusError: the server refuses, or gives no whole answer for a viewer; the others' rows are committed.
        """
        done = Pulled()
        failure: NexusError | None = None
        users = self._client.get("/Users")
        if not isinstance(users, list):
            raise _strange("/Users")
        for user in users:
            name = shapes.user_id(user)
            if name is None:
                self._commit_new(done, "users", [shapes.broken_user(user)], self._known("").refs)
                continue
            try:
                self._of_viewer(name, done)
            except NexusError as error:
                if error.category is Category.NOT_FOUND:
                    done.gone.append(name)
                elif error.retryable:
                    failure = failure or error
                else:
                    raise
        if failure is not None:
            raise failure
        return done

    def _of_viewer(self, user: str, done: Pulled) -> None:
        known = self._known(user)
        played = {"isPlayed": "true", "sortBy": "DatePlayed,SortName", "sortOrder": "Descending"}
        walks: list[tuple[dict[str, str], IsEnough | None]] = [(played, known.is_enough(user, self._now))]
        walks += [(wanted | {"sortBy": "SortName"}, None) for wanted in _LISTS.values()]
        rows: dict[str, shapes.Row] = {}
        for wanted, is_enough in walks:
            parameters = self._parameters() | wanted | {"userId": user, "enableUserData": "true"}
            for item in self._walk(parameters, is_enough):
                done.read += 1
                rows |= {row["event_ref"]: row for row in shapes.events(user, item, now=self._now)}
        done.viewers += 1
        self._commit_new(done, user, list(rows.values()), known.refs)
        dated = [int(row["occurred_at"]) for ref, row in rows.items() if shapes.DATED in ref]
        done.cursors[user] = _iso(max([known.cursor, *dated]))

    def _commit_new(self, done: Pulled, user: str, rows: Sequence[shapes.Row], known: frozenset[str]) -> None:
        new = sorted(
            (row for row in rows if row["event_ref"] not in known),
            key=lambda row: (int(row.get("occurred_at") or 0), row["event_ref"]),
        )
        for part in _in_parts(iter(new)):
            done.rows += self._commit(INTERACTIONS, user, part)

    def _parameters(self) -> dict[str, str]:
        return {
            "recursive": "true",
            "includeItemTypes": ",".join(self._settings.item_types),
            "enableImages": "false",
            "enableTotalRecordCount": "true",
        }

    def _walk(self, parameters: dict[str, str], is_enough: IsEnough | None = None) -> Iterator[object]:
        def fetch(start: int, limit: int) -> Page:
            answer = self._client.get("/Items", parameters | {"startIndex": start, "limit": limit})
            items = answer.get("Items") if isinstance(answer, dict) else None
            if not isinstance(items, list):
                raise _strange("/Items")
            total = answer.get("TotalRecordCount")
            return Page(items, total if isinstance(total, int) and total > 0 else None)

        return walk(fetch, limit=self._settings.page_size, key=shapes.key, is_enough=is_enough)

    def _known_titles(self) -> set[str]:
        """Digests of the newest row of each title."""
        if not self._lake.exists(TITLES):
            return set()
        rows = self._lake.scan(TITLES).filter(pl.col("issuer") == self._settings.issuer)
        newest = (
            rows.sort("staged_at", "line_number").group_by(pl.coalesce("content_ref", "raw_text").alias("of")).last()
        )
        return {shapes.digest(text) for text in newest.select("raw_text").collect()["raw_text"]}

    def _known(self, user: str) -> _Known:
        if not self._lake.exists(INTERACTIONS):
            return _Known(frozenset(), 0)
        is_mine = (pl.col("issuer") == self._settings.issuer) & (
            (pl.col("user_ref") == user) if user else pl.col("user_ref").is_null()
        )
        rows = self._lake.scan(INTERACTIONS).filter(is_mine).select("event_ref", "occurred_at").collect()
        dated = rows.filter(pl.col("event_ref").str.contains(shapes.DATED, literal=True))
        plays = dated["occurred_at"].cast(pl.Int64).max()
        return _Known(frozenset(rows["event_ref"]), int(plays or 0))  # type: ignore[arg-type]

    def _server_id(self) -> str:
        if self._server is None:
            info = self._client.get("/System/Info/Public")
            found = info.get("Id") if isinstance(info, dict) else None
            if not isinstance(found, str) or not found:
                raise _strange("/System/Info/Public")
            self._server = found
        return self._server

    def _commit(self, table: str, part: str, rows: list[shapes.Row]) -> int:
        """One commit; the ledger refuses a second pull that is at work at the same time."""
        app = f"jellyfin:{self._settings.issuer}:{self._server_id()}:{part}"
        last = self._lake.last_key(table, app) or 0
        shared = {
            "load_id": f"{app}:{last + 1}",
            "source": "jellyfin",
            "file_name": part,
            "staged_at": self._now,
            "issuer": self._settings.issuer,
            "title_issuer": self._settings.issuer,
        }
        schema = declared(table).schema
        columns = {
            column.name: pa.array(
                [
                    number if column.name == "line_number" else shared.get(column.name, row.get(column.name))
                    for number, row in enumerate(rows, 1)
                ],
                column.type,
            )
            for column in schema
        }
        frame = pa.table(columns, schema=schema)
        return self._lake.write(table, frame, mode="append", key=(app, last + 1), follows=last).rows


@dataclass(frozen=True, slots=True)
class _Known:
    """What is committed of a viewer."""

    refs: frozenset[str]
    cursor: int

    def is_enough(self, user: str, now: datetime) -> IsEnough:
        """Whether a page of plays, newest first, holds nothing new and ends behind the cursor."""
        border = min(self.cursor, int(now.timestamp() * 1_000_000)) - int(OVERLAP.total_seconds() * 1_000_000)

        def is_enough(page: Iterable[object]) -> bool:
            rows = [row for item in page for row in shapes.events(user, item, now=now)]
            is_known = all(row["event_ref"] in self.refs for row in rows)
            times = [int(row["occurred_at"]) for row in rows if shapes.DATED in row["event_ref"]]
            return is_known and bool(times) and min(times) < border

        return is_enough


def pull(
    lake: Lake,
    settings: JellyfinSettings,
    *,
    tables: Sequence[str] = (TITLES, INTERACTIONS),
    client: Client | None = None,
) -> dict[str, Pulled]:
    """Pull the titles, the interactions, or both.

    Raises:
        NexusError: as :meth:`Puller.titles` and :meth:`Puller.interactions`.
    """
    with client or Client(settings) as connected:
        puller = Puller(lake, connected, settings)
        work: dict[str, Callable[[], Pulled]] = {TITLES: puller.titles, INTERACTIONS: puller.interactions}
        return {table: work[table]() for table in tables}


def _in_parts(rows: Iterator[shapes.Row]) -> Iterator[list[shapes.Row]]:
    while part := list(islice(rows, _COMMIT_ROWS)):
        yield part


def _iso(micros: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).isoformat()


def _strange(path: str) -> NexusError:
    return NexusError(
        f"Jellyfin answers {path} in another shape than its API documents",
        field="jellyfin.url",
        value=path,
        remedy="check that NEXUS_JELLYFIN__URL names a Jellyfin of version 10.9 or newer",
    )
