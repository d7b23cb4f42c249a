"""The projection of a bundle says what training's own content model says, about titles of any catalogue, and refuses a foreign file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from nexus.errors import NexusError
from tests.training.content.test_content import clustered
from training.content import bundled
from training.content import facts as facts_of
from training.content.describer import GENRES, ONE, TEXT, YEARS, Describer
from training.content.part import content_part
from training.content.served import METADATA, Projection
from training.dataset import Dataset, Floats
from training.recipes.content import VALUES

pytestmark = pytest.mark.unit
DEBUG = VALUES["content-debug"]
DIMENSIONS = 12


def vectors_of(data: Dataset, seed: int = 4) -> Floats:
    vectors = np.random.default_rng(seed).normal(size=(data.size, DIMENSIONS)).astype(np.float32)
    vectors[[0, 7]] = 0.0
    return vectors


@pytest.fixture(scope="module")
def data() -> Dataset:
    """The last titles of each kind are met by nobody."""
    whole = clustered()
    hidden = {39, 40, 79, 80}
    keep = [np.array([item not in hidden for item in history.items]) for history in whole.histories]
    left = [
        replace(h, items=h.items[k], values=h.values[k], at_s=h.at_s[k], context=h.context[k])
        for h, k in zip(whole.histories, keep, strict=True)
    ]
    years = np.where(np.arange(whole.size) % 5 == 0, np.nan, 1950.0 + np.arange(whole.size) % 60).astype(np.float32)
    return replace(whole, histories=tuple(left), years=years)


@pytest.fixture(scope="module")
def made(data: Dataset) -> Projection:
    return bundled.projection(data, vectors_of(data), DEBUG)


def scores(made: Projection, data: Dataset, items: list[int], rows: Floats) -> Floats:
    newest = items[::-1][: made.facts.last]
    own = made.describer.rows([data.genres[i] for i in newest], data.years[newest], vectors_of(data)[newest])
    lefts = made.lefts([made.row_of.get(item) for item in newest], own)
    return lefts.sum(axis=0) @ rows.T + made.static(rows)


def test_projection__any_history__scores_as_the_content_model_does(
    data: Dataset, made: Projection, tmp_path: Path
) -> None:
    part = content_part(data, data.histories, vectors=vectors_of(data), config=DEBUG, seed=bundled.SEED)
    made.write(tmp_path / "content.safetensors")
    read = Projection.read(tmp_path / "content.safetensors", data.size)
    rows = read.describer.rows(data.genres, data.years, vectors_of(data))
    for history in (
        data.histories[0],
        data.histories[7].until(3),
        replace(data.histories[1], items=np.array([39, 80, 7])),
    ):
        wanted = part.scores([history], np.zeros((1, 2), np.float32))[0][1:]
        found = scores(read, data, history.items.tolist(), rows)[1:]
        assert np.allclose(found, wanted, atol=2e-3 * np.abs(wanted).max())  # what is kept in 16 bits is that exact
        assert np.argsort(-found)[:3].tolist() == np.argsort(-wanted)[:3].tolist()


def test_projection__title_outside_the_vocabulary__scores_like_its_twin_inside(data: Dataset, made: Projection) -> None:
    twin = made.describer.rows([data.genres[5]], [data.years[5]], vectors_of(data)[[5]])
    whole = facts_of.of(data, DEBUG, vectors_of(data)).rows
    assert np.allclose(twin[0], whole[5], atol=1e-5)
    items = data.histories[0].items.tolist()
    assert scores(made, data, items, twin)[0] == pytest.approx(scores(made, data, items, whole)[5], abs=1e-4)


def test_projection__met_titles_alone_have_rows__and_the_same_input_gives_the_same_bytes(
    data: Dataset, made: Projection, tmp_path: Path
) -> None:
    popularity = np.bincount(np.concatenate([h.items for h in data.histories]), minlength=data.size)
    assert sorted(made.row_of) == np.flatnonzero(popularity).tolist()
    for number in (1, 2):
        bundled.projection(data, vectors_of(data), DEBUG).write(tmp_path / f"{number}")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


numbers = st.floats(width=32, allow_nan=True, allow_infinity=True)


@settings(max_examples=60, deadline=None)
@given(
    titles=st.lists(
        st.tuples(
            st.lists(st.sampled_from(["War", "Drama", "Opera", ""]), max_size=3),
            numbers,
            st.lists(numbers, min_size=DIMENSIONS, max_size=DIMENSIONS),
        ),
        max_size=6,
    )
)
def test_rows__any_genres_years_and_vectors__are_blocks_of_length_one_or_zero(made: Projection, titles) -> None:
    describer: Describer = made.describer
    vectors = np.array([vector for _, _, vector in titles], np.float32).reshape(-1, DIMENSIONS)
    years = [year for _, year, _ in titles]
    rows = describer.rows([genres for genres, _, _ in titles], years, vectors)
    assert rows.shape == (len(titles), describer.width)
    assert np.isfinite(rows).all()
    for block in (ONE, GENRES, YEARS, TEXT):
        lengths = np.linalg.norm(rows[:, describer.blocks[block]], axis=1)
        assert ((np.abs(lengths - 1) < 1e-3) | (lengths == 0)).all()
    known = [bool(set(genres) & {"War", "Drama"}) for genres, _, _ in titles]
    assert (rows[:, describer.blocks[GENRES]].any(axis=1) == known).all()
    assert (rows[:, describer.blocks[YEARS]].any(axis=1) == np.isfinite(np.array(years, np.float32))).all()
    alone = [describer.rows([genres], [year], np.array([vector], np.float32)) for genres, year, vector in titles]
    assert all(np.allclose(one[0], row, atol=1e-5) for one, row in zip(alone, rows, strict=True))


@pytest.mark.parametrize(
    "vectors", [None, np.ones((1, DIMENSIONS + 1), np.float32), np.zeros((1, 0), np.float32)], ids=str
)
def test_rows__no_vector_or_one_of_another_encoder__nothing_is_known_of_the_text(made: Projection, vectors) -> None:
    row = made.describer.rows([("War",)], [1990], vectors)
    assert not row[:, made.describer.blocks[TEXT]].any()
    assert row[:, made.describer.blocks[GENRES]].any()


def _changed(made: Projection, name: str) -> dict[str, np.ndarray]:
    arrays = {key: np.ascontiguousarray(value) for key, value in made.arrays.items()}
    changes = {
        "no left": lambda: arrays.pop("left"),
        "narrower": lambda: arrays.update(left=np.ascontiguousarray(arrays["left"][:, :-1])),
        "wider own": lambda: arrays.update(own=np.append(arrays["own"], np.float32(0))),
        "other numbers": lambda: arrays.update(scale=arrays["scale"].astype(np.float64)),
        "not a number": lambda: arrays.update(popular=arrays["popular"] * np.float32(np.nan)),
        "a title too many": lambda: arrays.update(titles=arrays["titles"] + 1000),
        "the padding": lambda: arrays.update(titles=arrays["titles"] - arrays["titles"][0]),
        "twice": lambda: arrays.update(titles=np.ones_like(arrays["titles"])),
        "no reference": lambda: arrays.update(reference=np.ascontiguousarray(arrays["reference"][:0])),
    }
    changes[name]()
    return arrays


DAMAGES = (
    "no left", "narrower", "wider own", "other numbers", "not a number", "a title too many", "the padding", "twice",
    "no reference",
)  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_read__foreign_arrays__are_refused(made: Projection, data: Dataset, name: str, tmp_path: Path) -> None:
    path = tmp_path / "content.safetensors"
    save_file(_changed(made, name), str(path), metadata={METADATA: made.facts.model_dump_json()})
    with pytest.raises(NexusError, match="the published model is damaged"):
        Projection.read(path, data.size)


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"\xff" * 100], ids=["empty", "a pickle", "garbage"])
def test_read__no_such_file_format__is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(NexusError, match="the published model is damaged"):
        Projection.read(tmp_path / "c", 10)


def test_read__no_metadata__is_refused(made: Projection, data: Dataset, tmp_path: Path) -> None:
    save_file({name: np.ascontiguousarray(of) for name, of in made.arrays.items()}, str(tmp_path / "c"))
    with pytest.raises(NexusError, match="the published model is damaged"):
        Projection.read(tmp_path / "c", data.size)
