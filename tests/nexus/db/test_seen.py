"""What was seen, as a file for when every store is away."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from nexus import ids
from nexus.db import content, interactions, users
from nexus.db.content import ContentRecord
from nexus.db.pool import connect
from nexus.db.seen import FILE, read_seen, write_seen
from tests.nexus.db.test_facts import USER_ID, VIEWER, event, record


@pytest.mark.integration
async def test_seen__written_from_postgres__names_seen_and_hidden_titles_of_each_viewer(api, worker, empty, tmp_path):
    titles: list[ContentRecord] = [record(str(number)) for number in range(1, 7)]
    for title in titles:
        await content.upsert_content(worker, title)
    await users.ensure_users(api, [(USER_ID, VIEWER)])
    kinds = ("view", "rate", "like", "dislike", "hide", "share")
    await interactions.insert_interactions(
        api, [event(f"e{n}", title, kind) for n, (title, kind) in enumerate(zip(titles, kinds, strict=True))]
    )
    with connect(empty, "pipeline") as connection:
        assert write_seen(connection, tmp_path) == 1
    assert read_seen(tmp_path, USER_ID) == {str(title.content_id) for title in titles[:5]}
    assert read_seen(tmp_path, ids.internal("user", ids.Reference("movielens", "2"))) == frozenset()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.unit
@pytest.mark.parametrize("content", [None, b"", b"no database", b"SQLite format 3\x00" + b"\x01" * 200])
def test_seen__missing_or_damaged_file__is_not_asked(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    assert read_seen(tmp_path, uuid4()) is None
