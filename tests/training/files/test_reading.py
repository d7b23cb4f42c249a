"""Data sets in every layout become the same arrays; what cannot be read is one clear error."""

import gzip
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.schema import CONTEXT_FEATURES, VIEWER_FEATURES
from nexus.errors import Category, NexusError
from nexus.lake.catalogue import TABLES
from nexus.lake.lake import Lake
from nexus.settings import ROOT
from training import snapshot
from training.files import layouts, reading, titles

pytestmark = pytest.mark.unit

ROWS = [
    ("1", "10", "4", "100"),
    ("1", "7", "5", "50"),
    ("2", "10", "3", "7"),
    ("2", "9", "1", "7"),
    ("1", "10", "2", "300"),
]
SHARED = ROOT.parent / "shared" / "data"


def _layout(folder: Path, kind: str) -> Path:
    folder.mkdir()
    if kind == "csv":
        body = "userId,movieId,rating,timestamp\n" + "".join(",".join(row) + "\n" for row in ROWS)
        (folder / "ratings.csv").write_text(body)
        (folder / "movies.csv").write_text(
            'movieId,title,genres\n10,"Heat, The (1995)",Crime|Drama\n7,Nothing,(no genres listed)\n8,Unseen (2001),War\n'
        )
    elif kind == "dat":
        (folder / "ratings.dat").write_text("".join("::".join(row) + "\n" for row in ROWS))
        (folder / "movies.dat").write_bytes("10::Heat: Café (1995)::Crime|Drama\n7::Nothing::\n".encode("latin-1"))
    else:
        (folder / "u.data").write_text("".join("\t".join(row) + "\n" for row in ROWS))
        flags = ["0"] * 19
        flags[6] = flags[8] = "1"
        (folder / "u.item").write_text(
            "10|Heat (1995)|01-Jan-1995||http://x|"
            + "|".join(flags)
            + "\n7|Nothing||||"
            + "|".join(["1"] + ["0"] * 18)
            + "\n"
        )
    return folder


def _zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"ml/{file.name}")
    return path


@pytest.mark.parametrize("is_zip", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("kind", ["csv", "dat", "u.data"])
def test_load_path__movielens_in_any_layout__gives_the_same_arrays(tmp_path: Path, kind: str, is_zip: bool) -> None:
    folder = _layout(tmp_path / "ml", kind)
    found = reading.load_path(_zipped(folder) if is_zip else folder)
    data = found.dataset
    assert data.vocabulary == ("", "10", "7", "9")
    assert data.viewers == ("1", "2")
    assert [data.vocabulary[item] for item in data.histories[0].items] == ["7", "10"]
    assert data.histories[0].values.tolist() == pytest.approx([1.0, 0.4])
    assert [data.vocabulary[item] for item in data.histories[1].items] == ["10", "9"]
    assert data.has_times
    assert data.years[1] == 1995
    assert np.isnan(data.years[2:]).all()
    assert data.genres == ((), ("Crime", "Drama"), (), ())
    assert "1 times a viewer met a title again" in found.notes[-1]


def test_load_path__layouts__have_one_hash(tmp_path: Path) -> None:
    assert (
        len({reading.load_path(_layout(tmp_path / kind, kind)).dataset.data_hash for kind in ("csv", "dat", "u.data")})
        == 1
    )


@pytest.mark.parametrize("name", ["plays.txt", "plays.csv.gz", "plays.tsv"])
def test_load_path__order_only__keeps_the_order_of_the_lines(tmp_path: Path, name: str) -> None:
    body = b"5 3\n5 1\n5 2\n4 9\n"
    (tmp_path / name).write_bytes(gzip.compress(body) if name.endswith(".gz") else body)
    data = reading.load_path(tmp_path / name).dataset
    assert not data.has_times
    assert data.viewers == ("4", "5")
    assert [data.vocabulary[item] for item in data.histories[1].items] == ["3", "1", "2"]
    assert "order of the lines" in data.tie_rule


def test_load_path__events_of_one_second__stay_in_the_order_of_the_lines(tmp_path: Path) -> None:
    (tmp_path / "plays.txt").write_text("u c 5\nu a 5\nu b 5\nu z 1\n")
    data = reading.load_path(tmp_path / "plays.txt").dataset
    assert [data.vocabulary[item] for item in data.histories[0].items] == ["z", "c", "a", "b"]


def test_load_path__ten_thousand_events_of_one_viewer__are_kept(tmp_path: Path) -> None:
    (tmp_path / "plays.txt").write_text("".join(f"u {title}\n" for title in range(10_000)) + "v 1\n")
    data = reading.load_path(tmp_path / "plays.txt").dataset
    assert [len(history) for history in data.histories] == [10_000, 1]


def _broken(folder: Path, kind: str) -> Path:
    path = folder / "plays.txt.gz"
    if kind == "half a gzip":
        path.write_bytes(gzip.compress(b"1 2\n" * 1000)[:-20])
    elif kind == "no gzip":
        path.write_bytes(b"1 2\n")
    elif kind == "half a zip":
        path = _zipped(_layout(folder / "ml", "csv"))
        path.write_bytes(path.read_bytes()[:-30])
    elif kind == "folder without ratings":
        (folder / "readme.txt").write_text("hello")
        (folder / "plays.csv").write_text("1,2\n")
        path = folder
    return path


@pytest.mark.parametrize("kind", ["half a gzip", "no gzip", "half a zip", "folder without ratings", "nothing"])
def test_load_path__files_that_cannot_be_read__are_one_error(tmp_path: Path, kind: str) -> None:
    with pytest.raises(NexusError) as refused:
        reading.load_path(_broken(tmp_path, kind))
    assert refused.value.field
    assert refused.value.remedy
    assert refused.value.category in {Category.INVALID, Category.NOT_FOUND}


def test_load_path__folder_without_ratings__names_the_file_that_could_be_meant(tmp_path: Path) -> None:
    with pytest.raises(NexusError) as refused:
        reading.load_path(_broken(tmp_path, "folder without ratings"))
    assert "plays.csv" in str(refused.value.remedy)


def test_find__a_file_that_grows_without_end__is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "MAX_BYTES", 1000)
    (tmp_path / "plays.txt.gz").write_bytes(gzip.compress(b"1 2\n" * 1000))
    with pytest.raises(NexusError, match="unpacks to over"):
        layouts.find(tmp_path / "plays.txt.gz")


def test_load__neither_path_nor_table__says_what_could_be_named() -> None:
    with pytest.raises(NexusError, match="neither a path nor a table") as refused:
        reading.load("no_such_thing", lambda: pytest.fail("no lake is needed to know that"))
    assert refused.value.field == "--data"


def test_context__of_the_examples_table__is_the_models_context() -> None:
    columns = TABLES[snapshot.EXAMPLES].schema.names
    assert tuple(reading.context_of(columns)) == CONTEXT_FEATURES
    assert set(reading.NOT_CONTEXT) == set(VIEWER_FEATURES) - set(CONTEXT_FEATURES)


def test_titles__of_any_layout__know_year_and_genres() -> None:
    found = titles.read(
        b"movieId,title,genres\n1,Toy Story (1995),A|B\nbroken\n2,Babel (2006-2007),\n,x,y\n", "movies.csv"
    )
    assert found.rows() == [("1", 1995, ["A", "B"]), ("2", 2006, [])]


@pytest.mark.skipif(not (SHARED / "ml-1m").is_dir(), reason="the data are not on this machine")
def test_load_path__the_sasrec_file__is_whole() -> None:
    data = reading.load_path(SHARED / "ml-1m" / "ml-1m.sasrec.txt.gz").dataset
    assert (len(data.viewers), data.size - 1, sum(map(len, data.histories))) == (6040, 3416, 999_611)


def _written(folder: Path, rows: list[tuple[str, str, str, float | None, int]]) -> Lake:
    lake = Lake(str(folder))
    frame = pl.DataFrame(
        {
            "user_id": [row[0] for row in rows],
            "content_id": [row[1] for row in rows],
            "event_id": [f"{row[4]}-{number}" for number, row in enumerate(rows)],
            "interaction_type": [row[2] for row in rows],
            "value": [row[3] for row in rows],
            "occurred_at": [datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=row[4]) for row in rows],
            "source": ["nexus"] * len(rows),
        },
        schema_overrides={"occurred_at": pl.Datetime("us", "UTC"), "value": pl.Float64},
    )
    lake.write("marts_nexus__interactions", frame.to_arrow(), mode="overwrite")
    return lake


def test_load__a_table_of_the_lake__is_read_in_its_order(tmp_path: Path) -> None:
    rows = [("v", "b", "rate", 4.0, 9), ("u", "a", "view", 0.5, 5), ("v", "a", "like", None, 3)]
    found = reading.load("marts_nexus__interactions", lambda: _written(tmp_path, rows))
    data = found.dataset
    assert found.origin.startswith("marts_nexus__interactions@")
    assert data.viewers == ("u", "v")
    assert [data.vocabulary[item] for item in data.histories[1].items] == ["a", "b"]
    assert data.histories[1].values.tolist() == pytest.approx([1.0, 0.8])
    assert data.has_times
    assert data.tie_rule == "time, then event id"


def test_load__a_table_that_holds_no_interactions__is_one_error(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    with pytest.raises(NexusError):
        reading.load("marts_nexus__interactions", lambda: lake)
    frame = pl.DataFrame({"user_id": ["u"], "first_at": [datetime(2020, 1, 1, tzinfo=UTC)]})
    frame.write_delta(str(tmp_path / "core_nexus__titles"))
    with pytest.raises(NexusError, match="no column content_id, occurred_at"):
        reading.load("core_nexus__titles", lambda: lake)
