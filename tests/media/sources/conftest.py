"""A small data set in the MovieLens layout, and the real one when it is on this machine."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nexus.lake.lake import Lake
from nexus.settings import ROOT

MOVIES = 'movieId,title,genres\n1,Toy Story (1995),Adventure|Animation\n2,"Matrix, The (1999)",(no genres listed)\n'
RATINGS = "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n2,2,5.0,964981247\n"
Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Make a data set; files may be given as text or bytes, and left out with None."""

    def make(ratings: str | bytes | None = RATINGS, movies: str | bytes | None = MOVIES, **more: str | bytes) -> Path:
        path = tmp_path / "data"
        path.mkdir(exist_ok=True)
        named = {"ratings.csv": ratings, "movies.csv": movies} | {f"{name}.csv": text for name, text in more.items()}
        for name, content in named.items():
            if content is not None:
                (path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


@pytest.fixture
def zipped(tmp_path: Path) -> Callable[[Path, str], Path]:
    """Zip a folder's files below a prefix."""

    def make(source: Path, prefix: str = "ml-test/") -> Path:
        path = tmp_path / "data.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(source.iterdir()):
                archive.write(file, prefix + file.name)
        return path

    return make


@pytest.fixture(scope="session")
def engine_lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake whose compute session is shared."""
    made = Lake(str(tmp_path_factory.mktemp("lake")))
    yield made
    made.close()


@pytest.fixture(scope="session")
def ml_latest_small() -> Path:
    """The real data set; tests are skipped where it is absent."""
    path = Path(os.environ.get("NEXUS_TEST_ML_LATEST_SMALL") or ROOT.parent / "shared" / "data" / "ml-latest-small")
    if not (path / "ratings.csv").is_file():
        pytest.skip("ml-latest-small is not here: set NEXUS_TEST_ML_LATEST_SMALL to its folder")
    return path
