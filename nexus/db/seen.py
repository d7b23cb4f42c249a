"""What every viewer has seen or hidden, as one small file beside the published models.

For the moment when Redis and Postgres are both away and this process never read the viewer: even then no title is
recommended that they had seen when the file was written. Belongs here: the file's form, writing and reading it.
Does not belong here: what happens between two writings (Redis knows that).
"""

from __future__ import annotations

import os
import sqlite3
import uuid
import zlib
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import psycopg

from nexus import logs

FILE: Final = "seen.sqlite"
_BATCH: Final = 10_000
_BYTES: Final = 16
_SEEN: Final = """
select user_id, content_id from (
  select user_id, content_id from nexus_ai.user_interactions where interaction_type in ('view', 'rate', 'like', 'dislike')
  union select user_id, content_id from nexus_ai.hidden_titles where is_hidden) barred
order by user_id, content_id
"""


def write_seen(connection: psycopg.Connection[Any], folder: Path) -> int:
    """Write the file anew, in bounded memory; readers see the old one or the new one.

    Args:
        connection: As nexus_pipeline.
        folder: Where models are published.

    Returns:
        How many viewers it holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{FILE}.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(temporary)) as file:
            file.executescript("pragma journal_mode=off; pragma synchronous=off;")
            file.execute("create table seen (user_id blob primary key, titles blob not null) without rowid")
            viewers = file.executemany("insert into seen values (?, ?)", _rows(connection)).rowcount
            file.commit()
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(folder / FILE)
    finally:
        temporary.unlink(missing_ok=True)
    return max(viewers, 0)


def _rows(connection: psycopg.Connection[Any]) -> Iterator[tuple[bytes, bytes]]:
    with connection.transaction(), connection.cursor(name="seen") as cursor:
        cursor.itersize = _BATCH
        cursor.execute(_SEEN)
        for user_id, rows in groupby(cursor, key=itemgetter(0)):
            yield user_id.bytes, zlib.compress(b"".join(content_id.bytes for _, content_id in rows), 1)


def read_seen(folder: Path, user_id: uuid.UUID) -> frozenset[str] | None:
    """The titles that a viewer had seen or hidden when the file was written; None when there is no file to ask."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as file:
            row = file.execute("select titles from seen where user_id = ?", (user_id.bytes,)).fetchone()
        packed = zlib.decompress(row[0]) if row else b""
    except (sqlite3.Error, zlib.error) as error:
        logs.get(__name__).warning("seen_file_unreadable", path=str(path), reason=str(error)[:200])
        return None
    return frozenset(str(uuid.UUID(bytes=packed[at : at + _BYTES])) for at in range(0, len(packed), _BYTES))
