"""Staging: structural errors are refused at once; broken lines are staged with their problem."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.sources import dslabs, lines
from media.sources.base import staged_loads
from media.sources.dslabs import DslabsMovieLens
from media.sources.movielens import MovieLens
from nexus.errors import Category, NexusError

pytestmark = pytest.mark.unit

Folder = Callable[..., Path]
Zipped = Callable[..., Path]
HEADER = "userId,movieId,rating,timestamp\n"


def rows(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


@pytest.mark.parametrize(
    ("files", "field", "word"),
    [
        ({"ratings": None}, "path", "ratings.csv is missing; found: movies.csv"),
        ({"movies": None}, "path", "movies.csv is missing"),
        ({"ratings": "userId,movieId,rating\n1,1,4\n"}, "ratings.csv:timestamp", "no column timestamp"),
        ({"movies": "movieId,name\n1,x\n"}, "movies.csv:title", "no column title, genres"),
        ({"ratings": "userId,movieId,rating,timestamp,rating\n"}, "ratings.csv:rating", "column twice"),
        ({"ratings": ""}, "ratings.csv:userId", "no column userId"),
        ({"ratings": HEADER}, "ratings.csv", "no lines after the header"),
        ({"ratings": (HEADER + "1,1,4.0,1\n").encode("utf-16")}, "ratings.csv", "not UTF-8"),
        ({"ratings": b"\x00\x01\x02\x03"}, "ratings.csv", "not UTF-8"),
        ({"ratings": "userId;movieId;rating;timestamp\n1;1;4;1\n"}, "ratings.csv:userId", "no column userId"),
        ({"links": "movie,imdb\n1,2\n"}, "links.csv:movieId", "no column movieId"),
    ],
)
def test_stage__a_structural_error__is_refused_and_nothing_is_staged(
    folder: Folder, tmp_path: Path, files: dict[str, Any], field: str, word: str
) -> None:
    with pytest.raises(NexusError) as caught:
        MovieLens(folder(**files)).stage(tmp_path / "inbox")
    assert caught.value.field == field
    assert word in caught.value.message
    assert caught.value.remedy
    assert staged_loads(tmp_path / "inbox") == []
    assert not (tmp_path / "inbox").exists() or list((tmp_path / "inbox").iterdir()) == []


def test_stage__no_such_path__is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NexusError) as caught:
        MovieLens(tmp_path / "nowhere").stage(tmp_path / "inbox")
    assert caught.value.category is Category.NOT_FOUND


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"1,1,4.0", "expected 4 fields, found 3"),
        (b"1,1,4.0,964982703,9", "expected 4 fields, found 5"),
        (b"1,\xff\xfe,4.0,964982703", "not UTF-8"),
        ("1,1,é,964982703".encode("latin-1"), "not UTF-8"),
        (b"1,1,4.0\x00,964982703", "holds a zero byte"),
        (b'1,"1,4.0,964982703', "not well quoted: unexpected end of data"),
        (b"1,1," + b"4" * 70_000 + b",1", "longer than 65536 bytes"),
    ],
)
def test_stage__a_broken_line__is_kept_with_its_problem_and_the_rest_goes_on(
    folder: Folder, tmp_path: Path, line: bytes, problem: str
) -> None:
    ratings = HEADER.encode() + line + b"\n2,2,5.0,964981247\n"
    staged = MovieLens(folder(ratings=ratings)).stage(tmp_path / "inbox")
    first, second = rows(staged.ratings_path)
    assert (first["line_number"], first["problem_field"], first["problem"]) == (2, "line", problem)
    assert first["user_ref"] is None
    assert first["raw_text"]
    assert (second["line_number"], second["user_ref"], second["problem"]) == (3, "2", None)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + (HEADER + "1,1,4.0,964982703\n").encode(),
        (HEADER + "1,1,4.0,964982703\n").replace("\n", "\r\n").encode(),
        (HEADER + "1,1,4.0,964982703").encode(),
        (HEADER + "\n1,1,4.0,964982703\n\n").encode(),
        (HEADER + '"1","1","4.0","964982703"\n').encode(),
        b"timestamp,rating,extra,movieId,userId\n964982703,4.0,x,1,1\n",
    ],
    ids=["byte order mark", "crlf", "no newline at the end", "blank lines", "quoted", "other order"],
)
def test_stage__another_spelling_of_the_same_line__reads_the_same(
    folder: Folder, tmp_path: Path, content: bytes
) -> None:
    (row,) = rows(MovieLens(folder(ratings=content)).stage(tmp_path / "inbox").ratings_path)
    assert [row[name] for name in ("user_ref", "content_ref", "rating", "rated_at")] == ["1", "1", "4.0", "964982703"]


def test_stage__with_links__joins_the_ids_and_keeps_broken_links(folder: Folder, tmp_path: Path) -> None:
    staged = MovieLens(folder(links="movieId,imdbId,tmdbId\n1,0114709,862\n2,0133093\n")).stage(tmp_path / "inbox")
    broken, toy_story, matrix = rows(staged.titles_path)
    assert (broken["file_name"], broken["problem"]) == ("links.csv", "expected 3 fields, found 2")
    assert (toy_story["imdb_ref"], toy_story["tmdb_ref"]) == ("0114709", "862")
    assert (matrix["title"], matrix["imdb_ref"]) == ("Matrix, The (1999)", None)


def test_stage__the_same_data_as_folder_and_zip__is_one_load(folder: Folder, zipped: Zipped, tmp_path: Path) -> None:
    path = folder()
    first = MovieLens(path).stage(tmp_path / "inbox")
    second = MovieLens(zipped(path)).stage(tmp_path / "inbox")
    assert (first.is_new, second.is_new) == (True, False)
    assert first.load_id == second.load_id
    assert len(staged_loads(tmp_path / "inbox")) == 1


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_stage__part_of_a_zip__is_refused(folder: Folder, zipped: Zipped, tmp_path: Path, keep: float) -> None:
    path = zipped(folder())
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(NexusError, match="not a whole zip"):
        MovieLens(path).stage(tmp_path / "inbox")


def test_stage__a_zip_with_a_damaged_member__is_refused(folder: Folder, zipped: Zipped, tmp_path: Path) -> None:
    path = zipped(folder(ratings=HEADER + "".join(f"{n},1,4.0,964982703\n" for n in range(1, 500))))
    content = bytearray(path.read_bytes())
    start = content.index(b"ratings.csv") + 200
    content[start : start + 50] = bytes(50)
    path.write_bytes(bytes(content))
    with pytest.raises(NexusError, match="not a whole zip"):
        MovieLens(path).stage(tmp_path / "inbox")


@pytest.mark.parametrize("name", ["../ratings.csv", "/etc/ratings.csv", "a/../../ratings.csv", "C:\\ratings.csv"])
def test_stage__a_zip_member_that_leads_out__is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(NexusError, match="leads out of the zip") as caught:
        MovieLens(path).stage(tmp_path / "inbox")
    assert caught.value.value == name


def test_stage__a_zip_that_is_a_bomb__is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("ratings.csv", "w") as member:
        for _ in range(128):
            member.write(bytes(1 << 20))
    with pytest.raises(NexusError, match="grows to"):
        MovieLens(path).stage(tmp_path / "inbox")


def test_stage__a_zip_with_two_data_sets__is_refused(folder: Folder, tmp_path: Path) -> None:
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for prefix in ("a/", "b/"):
            archive.write(folder() / "ratings.csv", f"{prefix}ratings.csv")
    with pytest.raises(NexusError, match="two files of this name"):
        MovieLens(path).stage(tmp_path / "inbox")


def test_stage__the_inbox_is_a_file__is_one_clear_error(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "inbox").write_text("")
    with pytest.raises(NexusError) as caught:
        MovieLens(folder()).stage(tmp_path / "inbox")
    assert caught.value.field == "home"


def test_stage__more_lines_than_a_batch__are_all_there_in_order(folder: Folder, tmp_path: Path) -> None:
    count = 120_001
    ratings = HEADER + "".join(f"{number},1,4.0,964982703\n" for number in range(1, count + 1))
    staged = MovieLens(folder(ratings=ratings)).stage(tmp_path / "inbox")
    table = pq.read_table(staged.ratings_path)
    assert (staged.ratings_rows, table.num_rows) == (count, count)
    assert table.column("line_number").to_pylist() == list(range(2, count + 2))


def test_dslabs__the_shipped_data__is_the_100004_ratings(tmp_path: Path) -> None:
    staged = DslabsMovieLens().stage(tmp_path / "inbox")
    assert (staged.ratings_rows, staged.titles_rows) == (100_004, 9_066)
    assert rows(staged.ratings_path)[0]["raw_text"] == "1,31,2.5,1260759144"
    assert DslabsMovieLens().stage(tmp_path / "inbox").is_new is False


def test_dslabs__another_file_than_the_audited_one__is_never_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "_data" / "dslabs"
    data.mkdir(parents=True)
    (data / "movielens.pkl.compress").write_bytes(b"something else")
    monkeypatch.setattr(dslabs, "files", lambda _: tmp_path)
    with pytest.raises(NexusError) as caught:
        DslabsMovieLens().stage(tmp_path / "inbox")
    assert caught.value.category is Category.FORBIDDEN


@given(st.binary(max_size=300))
def test_read__any_bytes_after_the_header__give_lines_and_never_an_exception(content: bytes) -> None:
    import io

    found = list(lines.read(io.BytesIO(b"a,b\n" + content), name="x.csv", columns=("a", "b")))
    assert len(found) <= content.count(b"\n") + 1
    for line in found:
        assert (line.problem is None) == bool(line.fields)
        line.text.encode()


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), min_size=1, max_size=20))
def test_read__what_a_csv_writer_wrote__comes_back(pairs: list[tuple[str, str]]) -> None:
    import csv
    import io

    clean = [tuple(part.replace("\n", " ").replace("\r", " ").replace("\0", " ") for part in pair) for pair in pairs]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(clean)
    stream = io.BytesIO(b"a,b\n" + out.getvalue().encode("utf-8", "surrogatepass"))
    found = list(lines.read(stream, name="x.csv", columns=("a", "b")))
    assert [(line.fields["a"], line.fields["b"]) for line in found] == clean
