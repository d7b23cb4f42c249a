"""Equal content gives equal bytes, other content other bytes and another hash; what is written can be read again."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.errors import NexusError
from training import snapshot
from training.snapshot import FileFacts, Pin, Source

pytestmark = pytest.mark.unit
CONTEXT = ("viewer_activity", "viewer_pause")
AT = datetime(2020, 1, 1, tzinfo=UTC)
Row = tuple[str, int, str, str, float | None, datetime, float | None, float | None]


def interactions(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(
        rows,
        schema={
            "user_id": pl.String,
            "position": pl.Int64,
            "content_id": pl.String,
            "interaction_type": pl.String,
            "value": pl.Float64,
            "occurred_at": pl.Datetime("us", "UTC"),
            "viewer_activity": pl.Float64,
            "viewer_pause": pl.Float64,
        },
        orient="row",
    )


def titles(rows: list[tuple[str, int | None, list[str] | None]]) -> pl.DataFrame:
    schema = {"content_id": pl.String, "year": pl.Int32, "genres": pl.List(pl.String)}
    return pl.DataFrame(rows, schema=schema, orient="row")


numbers = st.one_of(st.none(), st.floats(0, 5, width=32))
row = st.tuples(
    st.sampled_from("uvw"),
    st.integers(1, 9),
    st.sampled_from(["a", "b", "ö"]),
    st.sampled_from(["rate", "view", "like"]),
    numbers,
    st.integers(0, 5).map(lambda seconds: AT + timedelta(seconds=seconds)),
    numbers,
    numbers,
)
title = st.tuples(
    st.sampled_from(["a", "b", "ö", "c"]),
    st.one_of(st.none(), st.integers(1900, 2030)),
    st.one_of(st.none(), st.lists(st.sampled_from(["War", "Drama", ""]), max_size=2)),
)


def made(rows: list[Row], known: list[Any], versions: dict[str, int] | None = None) -> Source:
    return snapshot.source(interactions(rows), titles(known), CONTEXT, versions or {})


def files(found: Source) -> dict[str, FileFacts]:
    with tempfile.TemporaryDirectory() as folder:
        return snapshot.export(found, Path(folder))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(row, min_size=1, max_size=12),
    known=st.lists(title, max_size=5, unique_by=lambda found: found[0]),
    data=st.data(),
)
def test_export__rows_in_any_order__gives_the_same_bytes(
    rows: list[Row], known: list[Any], data: st.DataObject
) -> None:
    first = made(rows, known, {snapshot.EXAMPLES: 1})
    second = made(data.draw(st.permutations(rows)), data.draw(st.permutations(known)), {snapshot.EXAMPLES: 7})
    assert files(first) == files(second)
    assert first.dataset.data_hash == second.dataset.data_hash


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=12), known=st.lists(title, max_size=5, unique_by=lambda found: found[0]))
def test_load__what_was_exported__is_the_same_data(rows: list[Row], known: list[Any]) -> None:
    first = made(rows, known)
    with tempfile.TemporaryDirectory() as temporary:
        snapshot.export(first, Path(temporary))
        again = snapshot.load(Path(temporary), {})
    assert again.interactions.equals(first.interactions)
    assert again.titles.equals(first.titles)
    assert again.dataset.data_hash == first.dataset.data_hash
    assert files(again) == files(first)


def test_export__many_row_groups_and_chunks__gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "ROWS_PER_GROUP", 100)
    rows: list[Row] = [
        ("u", n, f"t{n % 7}", "rate", 3.0, AT + timedelta(seconds=n), 0.1 * n, None) for n in range(1000)
    ]
    whole = made(rows, [])
    parts = pl.concat([interactions(rows[start : start + 37]) for start in range(0, 1000, 37)], rechunk=False)
    assert parts.n_chunks() > 1
    assert files(whole) == files(snapshot.source(parts, titles([]), CONTEXT, {}))


BASE: Row = ("u", 1, "a", "rate", 3.0, AT, 0.5, 0.5)
KNOWN = [("a", 1999, ["War"])]


@pytest.mark.parametrize(
    ("rows", "known"),
    [
        ([("v", *BASE[1:])], KNOWN),
        ([(*BASE[:4], 3.5, *BASE[5:])], KNOWN),
        ([(*BASE[:5], AT + timedelta(microseconds=1), *BASE[6:])], KNOWN),
        ([(*BASE[:6], 0.25, 0.5)], KNOWN),
        ([(*BASE[:7], 0.25)], KNOWN),
        ([BASE], [("a", 2000, ["War"])]),
        ([BASE], [("a", 1999, ["Drama"])]),
        ([BASE], [*KNOWN, ("b", None, None)]),
    ],
    ids=["viewer", "value", "time", "context", "other context", "year", "genres", "one title more"],
)
def test_hash__anything_that_the_model_sees_differs__is_another(rows: list[Row], known: list[Any]) -> None:
    first, other = made([BASE], KNOWN), made(rows, known)
    assert other.dataset.data_hash != first.dataset.data_hash
    assert files(other) != files(first)


def test_check__damaged_and_missing_files__are_named(tmp_path: Path) -> None:
    found = made([BASE], KNOWN)
    pin = Pin(
        data_hash=found.dataset.data_hash,
        files=snapshot.export(found, tmp_path),
        versions={},
        context_features=CONTEXT,
    )
    assert snapshot.check(tmp_path, pin) == []
    (tmp_path / snapshot.TITLES_FILE).unlink()
    path = tmp_path / snapshot.INTERACTIONS_FILE
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    said = snapshot.check(tmp_path, pin)
    assert [one.split()[0] for one in said] == [snapshot.INTERACTIONS_FILE, snapshot.TITLES_FILE]


def test_replace__folder_of_somebody_else__is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("mine")
    prepared = tmp_path / "prepared"
    snapshot.export(made([BASE], KNOWN), prepared)
    with pytest.raises(NexusError, match="something else"):
        snapshot.replace(theirs, prepared)
    assert (theirs / "thesis.txt").read_text() == "mine"
    snapshot.replace(tmp_path / "new", prepared)
    assert (tmp_path / "new" / snapshot.FACTS_FILE).is_file()


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ('{"core_nexus__titles": 3}', {"core_nexus__titles": 3}),
        ("4", {snapshot.EXAMPLES: 4}),
        ("None", {}),
        (None, {}),
    ],
)
def test_versions_of__tags_of_any_age__are_understood(tag: str | None, expected: dict[str, int]) -> None:
    assert snapshot.versions_of({} if tag is None else {snapshot.VERSIONS_TAG: tag}) == expected
