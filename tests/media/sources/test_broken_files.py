"""Broken files of every format: one clear error and nothing written, or the bad lines kept and the rest loaded.

The corpus is made here, so that no blob is committed. Every loader meets every kind that its format can have.
"""

from __future__ import annotations

import gzip
import os
import resource
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from media.sources.base import Source, staged_loads
from media.sources.mapping import declared
from media.sources.movielens import MovieLens
from media.sources.table import MappedTable
from nexus.errors import Category, NexusError

pytestmark = pytest.mark.unit

GIB = 1 << 30
RATINGS = {"csv": "ratings.csv", "dat": "ratings.dat", "100k": "u.data", "table": "events.csv"}
TITLES = {"csv": "movies.csv", "dat": "movies.dat", "100k": "u.item", "table": "titles.csv"}
SEPARATORS = {"csv": ",", "dat": "::", "100k": "\t", "table": ","}
HEADERS = {"csv": "userId,movieId,rating,timestamp\n", "table": "user,item,value,time\n"}
TITLE_LINES = {
    "csv": "movieId,title,genres\n1,A (1995),Drama\n",
    "dat": "1::A (1995)::Drama\n",
    "100k": "|".join(["1", "A (1995)", "", "", "", *["0"] * 19]) + "\n",
    "table": "id,name\n1,A\n",
}
FORMATS = list(RATINGS)


def folder(kind: str, at: Path, ratings: bytes | None = None) -> Path:
    """A data set; the ratings may be given as bytes after the header."""
    path = at / kind
    path.mkdir(parents=True, exist_ok=True)
    (path / TITLES[kind]).write_text(TITLE_LINES[kind])
    if ratings is not None:
        (path / RATINGS[kind]).write_bytes(HEADERS.get(kind, "").encode() + ratings)
    return path


def line(kind: str, *values: object) -> bytes:
    return (SEPARATORS[kind].join(map(str, values)) + "\n").encode()


def loader(kind: str, path: Path) -> Source:
    if kind != "table":
        return MovieLens(path)
    interactions = {"file": "events.csv", "viewer": "user", "title": "item", "value": "value", "time": "time"}
    titles = {"file": "titles.csv", "id": "id", "title": "name"}
    return MappedTable(path, declared({"issuer": "own", "interactions": interactions, "titles": titles}))


def refused(kind: str, path: Path, inbox: Path) -> NexusError:
    """The one error; nothing may have been written."""
    with pytest.raises(NexusError) as caught:
        loader(kind, path).stage(inbox)
    assert staged_loads(inbox) == []
    assert not inbox.exists() or list(inbox.iterdir()) == []
    assert caught.value.field
    assert caught.value.remedy
    return caught.value


def read(kind: str, path: Path, inbox: Path) -> list[dict[str, Any]]:
    return pq.read_table(loader(kind, path).stage(inbox).ratings_path).to_pylist()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (lambda _: b"1;1;4;1\n", "expected 4 fields, found 1"),
        (lambda kind: line(kind, 1, 1, 4), "expected 4 fields, found 3"),
        (lambda kind: line(kind, 1, 1, 4, 1, 1), "expected 4 fields, found 5"),
        (lambda kind: line(kind, 1, "\xe9", 4, 1).decode().encode("latin-1"), "not UTF-8"),
        (lambda kind: line(kind, 1, 1, "4\0", 1), "holds a zero byte"),
        (lambda kind: line(kind, 1, 1, "4" * 70_000, 1), "longer than 65536 bytes"),
        (
            lambda kind: line(kind, 1, 1, 4, "1\r" + line(kind, 2, 1, 4, 1).decode().strip()),
            "expected 4 fields, found 7",
        ),
    ],
    ids=["wrong delimiter", "short", "long", "latin-1", "zero byte", "long line", "CR alone"],
)
def test_stage__a_broken_line__is_kept_with_its_problem_and_the_rest_goes_on(
    tmp_path: Path, kind: str, content: Callable[[str], bytes], problem: str
) -> None:
    good = line(kind, 7, 1, "4.0", 964982703)
    path = folder(kind, tmp_path, good + content(kind) + good.replace(b"7", b"8", 1).replace(b"\n", b"\r\n"))
    found = read(kind, path, tmp_path / "inbox")
    assert [row["problem"] for row in found] == [None, problem, None]
    assert [row["user_ref"] for row in found] == ["7", None, "8"]


@pytest.mark.parametrize("kind", ["csv", "table"])
def test_stage__wrong_quotes__are_kept_with_their_problem(tmp_path: Path, kind: str) -> None:
    path = folder(kind, tmp_path, b'1,"1,4,1\n"1","1","4","1"\n1,"1"x,4,1\n')
    problems = [row["problem"] for row in read(kind, path, tmp_path / "inbox")]
    assert problems[1] is None
    assert [str(problem).partition(":")[0] for problem in (problems[0], problems[2])] == ["not well quoted"] * 2


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("value", ["nan", "NaN", "-1", "inf", "", "1e400", "--"])
def test_stage__a_value_that_is_none__is_kept_as_read_for_the_rules_to_refuse(
    tmp_path: Path, kind: str, value: str
) -> None:
    (found,) = read(kind, folder(kind, tmp_path, line(kind, -1, -1, value, 1)), tmp_path / "inbox")
    assert (found["user_ref"], found["content_ref"], found["problem"]) == ("-1", "-1", None)
    assert found.get("rating", found.get("value")) == value


@pytest.mark.parametrize("kind", FORMATS)
def test_stage__a_byte_order_mark__is_no_part_of_the_first_value(tmp_path: Path, kind: str) -> None:
    path = folder(kind, tmp_path, line(kind, 7, 1, 4, 1))
    file = path / RATINGS[kind]
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    (found,) = read(kind, path, tmp_path / "inbox")
    assert found["user_ref"] == "7"


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("content", [b"", b"\n\n\n", b"\r\n \r\n"], ids=["nothing", "blank lines", "lines of blanks"])
def test_stage__no_rows__is_refused(tmp_path: Path, kind: str, content: bytes) -> None:
    refused(kind, folder(kind, tmp_path, content), tmp_path / "inbox")


@pytest.mark.parametrize("kind", FORMATS)
def test_stage__an_empty_file__is_refused(tmp_path: Path, kind: str) -> None:
    path = folder(kind, tmp_path)
    (path / RATINGS[kind]).touch()
    refused(kind, path, tmp_path / "inbox")


@pytest.mark.parametrize("kind", FORMATS)
def test_stage__a_folder_in_place_of_a_file__is_refused(tmp_path: Path, kind: str) -> None:
    path = folder(kind, tmp_path)
    (path / RATINGS[kind]).mkdir()
    assert RATINGS[kind] in str(refused(kind, path, tmp_path / "inbox"))


@pytest.mark.parametrize("kind", FORMATS)
def test_stage__a_line_of_ten_gigabytes__is_refused_at_once_in_little_memory(tmp_path: Path, kind: str) -> None:
    path = folder(kind, tmp_path, line(kind, 7, 1, 4, 1))
    with (path / RATINGS[kind]).open("r+b") as file:
        file.truncate(10 * GIB)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    error = refused(kind, path, tmp_path / "inbox")
    assert "has no end within 64 MiB" in error.message
    assert time.monotonic() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


@pytest.mark.parametrize("kind", FORMATS)
def test_stage__a_file_that_may_not_be_read__is_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(kind, tmp_path, line(kind, 7, 1, 4, 1))
    normal = Path.open

    def denied(self: Path, *args: Any, **more: Any) -> Any:
        # The tests may run as root, whom no permission keeps out.
        if self.name == RATINGS[kind]:
            raise PermissionError(13, "Permission denied", str(self))
        return normal(self, *args, **more)

    monkeypatch.setattr(Path, "open", denied)
    assert "Permission denied" in refused(kind, path, tmp_path / "inbox").message


# --- folders with links


@pytest.mark.parametrize("kind", FORMATS)
def test_stage__a_link_out_of_the_folder__is_refused(tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "secret"
    outside.write_bytes(HEADERS.get(kind, "").encode() + line(kind, 7, 1, 4, 1))
    path = folder(kind, tmp_path)
    (path / RATINGS[kind]).symlink_to(outside)
    assert "leads out of the folder" in refused(kind, path, tmp_path / "inbox").message


@pytest.mark.parametrize("kind", FORMATS)
def test_stage__a_link_that_stays_inside__is_followed(tmp_path: Path, kind: str) -> None:
    path = folder(kind, tmp_path)
    (path / "real.bin").write_bytes(HEADERS.get(kind, "").encode() + line(kind, 7, 1, 4, 1))
    (path / RATINGS[kind]).symlink_to("real.bin")
    assert len(read(kind, path, tmp_path / "inbox")) == 1


@pytest.mark.parametrize("kind", FORMATS)
def test_stage__a_link_to_itself_or_a_pipe__is_refused_and_does_not_hang(tmp_path: Path, kind: str) -> None:
    path = folder(kind, tmp_path)
    (path / RATINGS[kind]).symlink_to(RATINGS[kind])
    refused(kind, path, tmp_path / "inbox")
    (path / RATINGS[kind]).unlink()
    os.mkfifo(path / RATINGS[kind])
    refused(kind, path, tmp_path / "inbox")


# --- zips


def zipped(kind: str, at: Path, ratings: bytes, name: str | None = None) -> Path:
    path = at / "data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"set/{TITLES[kind]}", TITLE_LINES[kind])
        archive.writestr(name or f"set/{RATINGS[kind]}", HEADERS.get(kind, "").encode() + ratings)
    return path


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("lead", ["../", "/tmp/", "a/../../", "C:\\"])
def test_stage__a_zip_member_that_leads_out__is_refused(tmp_path: Path, kind: str, lead: str) -> None:
    path = zipped(kind, tmp_path, line(kind, 7, 1, 4, 1), lead + RATINGS[kind])
    assert "leads out" in refused(kind, path, tmp_path / "inbox").message


@pytest.mark.parametrize("kind", FORMATS)
def test_stage__a_link_in_a_zip__is_refused(tmp_path: Path, kind: str) -> None:
    path = zipped(kind, tmp_path, line(kind, 7, 1, 4, 1), "set/other")
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo(f"set/{RATINGS[kind]}")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert "is a link" in refused(kind, path, tmp_path / "inbox").message


@pytest.mark.parametrize("kind", FORMATS)
def test_stage__a_zip_bomb__is_refused_before_it_grows(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"set/{TITLES[kind]}", TITLE_LINES[kind])
        with archive.open(f"set/{RATINGS[kind]}", "w", force_zip64=True) as member:
            for _ in range(160):
                member.write(line(kind, 7, 1, 4, 1) * 100_000)
    began = time.monotonic()
    assert "grows to" in refused(kind, path, tmp_path / "inbox").message
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("keep", [0, 0.4, 0.8, 0.99])
def test_stage__part_of_a_zip__is_refused(tmp_path: Path, kind: str, keep: float) -> None:
    path = zipped(kind, tmp_path, b"".join(line(kind, n, 1, 4, 1) for n in range(2000)))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    refused(kind, path, tmp_path / "inbox")


def test_stage__a_zip_of_a_hundred_thousand_members__is_refused(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(10_001):
            archive.writestr(f"{number}.csv", "")
    assert "over 10000 members" in refused("csv", path, tmp_path / "inbox").message


# --- gzip and Parquet, which only the loader with a mapping reads


def alone(path: Path, **more: Any) -> Source:
    interactions = {"viewer": "user", "title": "item", "value": "value", "time": "time"} | more
    return MappedTable(path, declared({"issuer": "own", "interactions": interactions}))


def packed(at: Path, content: bytes) -> Path:
    path = at / "events.csv.gz"
    path.write_bytes(gzip.compress(HEADERS["table"].encode() + content))
    return path


def refused_alone(path: Path, inbox: Path) -> NexusError:
    with pytest.raises(NexusError) as caught:
        alone(path).stage(inbox)
    assert staged_loads(inbox) == []
    assert not inbox.exists() or list(inbox.iterdir()) == []
    return caught.value


def test_stage__gzip_zip_and_plain__are_one_load(tmp_path: Path) -> None:
    content = line("table", 7, 1, 4, 1)
    plain = tmp_path / "events.csv"
    plain.write_bytes(HEADERS["table"].encode() + content)
    archive = tmp_path / "events.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.write(plain, "deep/in/it/events.csv")
    loads = [alone(path).stage(tmp_path / "inbox") for path in (plain, packed(tmp_path, content), archive)]
    assert [load.is_new for load in loads] == [True, False, False]


@pytest.mark.parametrize("keep", [5, 20, -3])
def test_stage__part_of_a_gzip__is_refused(tmp_path: Path, keep: int) -> None:
    path = packed(tmp_path, b"".join(line("table", n, 1, 4, n) for n in range(3000)))
    path.write_bytes(path.read_bytes()[:keep])
    assert "not a whole gzip" in refused_alone(path, tmp_path / "inbox").message


def test_stage__a_gzip_that_is_none__is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.csv.gz"
    path.write_bytes(b"user,item,value,time\n1,1,1,1\n")
    assert "not a whole gzip" in refused_alone(path, tmp_path / "inbox").message


def test_stage__a_gzip_bomb__is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.csv.gz"
    with gzip.open(path, "wb") as file:
        file.write(HEADERS["table"].encode())
        for _ in range(130):
            file.write(b"1,1,4,1\n" * 131_072)
    assert "grows to over 200 times" in refused_alone(path, tmp_path / "inbox").message


def parquet(at: Path, **columns: Any) -> Path:
    path = at / "events.parquet"
    given = {"user": ["1", "2"], "item": ["a", "b"], "value": [4.5, float("nan")], "time": [1, 2]} | columns
    pq.write_table(pa.table(given), path)
    return path


def test_stage__parquet__is_read_as_text(tmp_path: Path) -> None:
    found = pq.read_table(alone(parquet(tmp_path)).stage(tmp_path / "inbox").ratings_path).to_pylist()
    assert [(row["user_ref"], row["value"], row["occurred_at"]) for row in found] == [
        ("1", "4.5", "1000000"),
        ("2", "nan", "2000000"),
    ]


@pytest.mark.parametrize("keep", [0, 3, 60, -1, -20])
def test_stage__part_of_a_parquet_file__is_refused(tmp_path: Path, keep: int) -> None:
    path = parquet(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    assert "Parquet" in str(refused_alone(path, tmp_path / "inbox")) or keep == 0


def test_stage__parquet_with_damaged_pages__is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path, user=[str(n) for n in range(9999)], item=["x"] * 9999, value=[1] * 9999, time=[1] * 9999)
    content = bytearray(path.read_bytes())
    content[20:4000] = bytes(3980)
    path.write_bytes(bytes(content))
    assert "not whole Parquet" in refused_alone(path, tmp_path / "inbox").message


def test_stage__parquet_with_nested_values__is_refused(tmp_path: Path) -> None:
    error = refused_alone(parquet(tmp_path, item=[["a"], ["b"]]), tmp_path / "inbox")
    assert (error.category, error.field) == (Category.INVALID, "events.parquet:item")


def test_stage__a_csv_that_is_called_parquet__is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    path.write_bytes(b"user,item,value,time\n1,1,1,1\n")
    assert "not whole Parquet" in refused_alone(path, tmp_path / "inbox").message
