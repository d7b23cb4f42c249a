"""Every MovieLens layout, as a folder and as a zip, gives the rows that its files hold."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from media.sources.base import staged_loads
from media.sources.layouts import GENRES_100K
from media.sources.movielens import MovieLens
from nexus.errors import NexusError

pytestmark = pytest.mark.unit

FLAGS = ["0"] * len(GENRES_100K)
ITEM = "|".join(["1", "Amélie (2001)", "01-Jan-2001", "", "http://x", *FLAGS[:4], "1", "1", *FLAGS[6:]])
FILES: dict[str, dict[str, bytes]] = {
    "ml-100k": {
        "u.data": b"196\t1\t3\t881250949\n186\t2\t4\t891717742\n",
        "u.item": (ITEM + "\n" + "|".join(["2", "unknown", "", "", "", "1", *FLAGS[1:]]) + "\n").encode("latin-1"),
        "u.genre": b"unknown|0\nAction|1\n",
        "u.user": b"196|49|M|writer|55105\n",
        "u1.base": b"1\t1\t5\t874965758\n",
    },
    "ml-1m": {
        "ratings.dat": b"196::1::3::881250949\n186::2::4::891717742\n",
        "movies.dat": "1::Amélie (2001)::Children's|Comedy\n2::unknown::\n".encode("latin-1"),
        "users.dat": b"1::F::1::10::48067\n",
        "README": b"read me",
    },
    "ml-10M100K": {
        "ratings.dat": b"196::1::3::881250949\n186::2::4::891717742\n",
        "movies.dat": "1::Amélie (2001)::Children's|Comedy\n2::unknown::\n".encode(),
        "tags.dat": b"15::4973::excellent!::1215184630\n",
        "split_ratings.sh": b"#!/bin/sh\n",
    },
    "ml-32m": {
        "ratings.csv": b"userId,movieId,rating,timestamp\n196,1,3,881250949\n186,2,4,891717742\n",
        "movies.csv": "movieId,title,genres\n1,Amélie (2001),Children's|Comedy\n2,unknown,\n".encode(),
        "tags.csv": b"userId,movieId,tag,timestamp\n1,1,fun,1\n",
        "links.csv": b"movieId,imdbId,tmdbId\n1,0211915,194\n",
        "checksums.txt": b"x",
    },
}


def folder_of(name: str, at: Path, *, deeper: bool = False) -> Path:
    path = at / name / "inner" if deeper else at / name
    path.mkdir(parents=True)
    for file, content in FILES[name].items():
        (path / file).write_bytes(content)
    return at / name


def zip_of(name: str, at: Path) -> Path:
    path = at / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in FILES[name].items():
            archive.writestr(f"{name}/{file}", content)
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


@pytest.mark.parametrize("name", list(FILES))
def test_stage__each_layout__gives_its_ratings_and_titles(name: str, tmp_path: Path) -> None:
    staged = MovieLens(folder_of(name, tmp_path)).stage(tmp_path / "inbox")
    ratings = [
        tuple(row[n] for n in ("user_ref", "content_ref", "rating", "rated_at")) for row in rows(staged.ratings_path)
    ]
    assert ratings == [("196", "1", "3", "881250949"), ("186", "2", "4", "891717742")]
    first, second = rows(staged.titles_path)
    assert (first["content_ref"], first["title"], first["genres"]) == ("1", "Amélie (2001)", "Children's|Comedy")
    assert (second["title"], second["genres"], second["problem"]) == ("unknown", "", None)
    assert staged.source == ("movielens-100k" if name == "ml-100k" else "movielens")


@pytest.mark.parametrize("name", list(FILES))
def test_stage__folder_zip_and_a_deeper_folder__are_one_load(name: str, tmp_path: Path) -> None:
    paths = [
        folder_of(name, tmp_path / "a"),
        zip_of(name, tmp_path),
        folder_of(name, tmp_path / "b", deeper=True),
    ]
    loads = [MovieLens(path).stage(tmp_path / "inbox") for path in paths]
    assert len({load.load_id for load in loads}) == 1
    assert [load.is_new for load in loads] == [True, False, False]
    assert len(staged_loads(tmp_path / "inbox")) == 1


@pytest.mark.parametrize(
    ("name", "file", "line", "problem"),
    [
        ("ml-100k", "u.data", b"1 1 3 881250949", "expected 4 fields, found 1"),
        ("ml-100k", "u.item", b"3|Short", "expected 24 fields, found 2"),
        ("ml-1m", "ratings.dat", b"1:1:3:9", "expected 4 fields, found 1"),
        ("ml-1m", "ratings.dat", b"1::1::3", "expected 4 fields, found 3"),
        ("ml-10M100K", "movies.dat", b"3::A::B::C", "expected 3 fields, found 4"),
        ("ml-10M100K", "ratings.dat", b"1::1::3\x00::1", "holds a zero byte"),
    ],
)
def test_stage__a_broken_line_in_any_layout__is_kept_with_its_problem(
    tmp_path: Path, name: str, file: str, line: bytes, problem: str
) -> None:
    path = folder_of(name, tmp_path)
    (path / file).write_bytes(FILES[name][file] + line + b"\r\n")
    staged = MovieLens(path).stage(tmp_path / "inbox")
    table = rows(staged.ratings_path if "data" in file or "ratings" in file else staged.titles_path)
    assert [row["problem"] for row in table] == [None, None, problem]


def test_stage__ids_of_an_issuer_of_its_own__are_another_load(tmp_path: Path) -> None:
    path = folder_of("ml-1m", tmp_path)
    own = MovieLens(path, issuer="club").stage(tmp_path / "inbox")
    common = MovieLens(path).stage(tmp_path / "inbox")
    assert (own.source, common.source) == ("club", "movielens")
    assert own.load_id != common.load_id


def test_stage__two_layouts_in_one_folder__is_refused(tmp_path: Path) -> None:
    path = folder_of("ml-1m", tmp_path)
    for file, content in FILES["ml-32m"].items():
        (path / file).write_bytes(content)
    with pytest.raises(NexusError, match="two data sets at once"):
        MovieLens(path).stage(tmp_path / "inbox")


def test_stage__half_a_layout__names_the_file_that_is_missing(tmp_path: Path) -> None:
    path = folder_of("ml-100k", tmp_path)
    (path / "u.item").unlink()
    with pytest.raises(NexusError, match=r"u\.item is missing") as caught:
        MovieLens(path).stage(tmp_path / "inbox")
    assert caught.value.remedy == "name a folder or zip that has u.data and u.item"
