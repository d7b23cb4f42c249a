"""Blocks and lines read the same rows out of the same bytes, whatever they hold."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.sources import blocks, lines
from media.sources.lines import Dialect

pytestmark = pytest.mark.unit

DIALECTS = [
    Dialect(),
    Dialect(";"),
    Dialect("\t", is_quoted=False, columns=("a", "b")),
    Dialect("::", is_quoted=False, columns=("a", "b")),
    Dialect("::", "latin-1", is_quoted=False, columns=("a", "b")),
    Dialect("|", "latin-1", columns=("a", "b")),
]
PIECES = [b"1", b"x y", b",", b";", b"::", b":", b"\t", b"|", b"\n", b"\r\n", b"\r", b'"', b"\0", b"\xe9", "é".encode()]
PIECES += [b"\x1e", b"\x1f", b" ", b"\xef\xbb\xbf", b"9" * 40]


def by_line(content: bytes, dialect: Dialect) -> list[tuple[Any, ...]]:
    found = lines.read(io.BytesIO(content), name="x", columns=("a", "b"), dialect=dialect)
    return [(line.number, line.text, line.problem, line.fields.get("a"), line.fields.get("b")) for line in found]


def by_block(content: bytes, dialect: Dialect, after: int = 0) -> list[tuple[Any, ...]]:
    names = (blocks.NUMBER, blocks.TEXT, blocks.PROBLEM, "a", "b")
    tables = blocks.read(io.BytesIO(content), name="x", columns=("a", "b"), dialect=dialect, after=after)
    return [tuple(row[name] for name in names) for table in tables for row in table.to_pylist()]


def with_header(content: bytes, dialect: Dialect) -> bytes:
    return content if dialect.columns else f"a{dialect.separator}b\n".encode() + content


@given(st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join), st.sampled_from(DIALECTS))
def test_read__any_pieces__are_the_same_rows_as_line_by_line(content: bytes, dialect: Dialect) -> None:
    whole = with_header(content, dialect)
    assert by_block(whole, dialect) == by_line(whole, dialect)


@given(st.binary(max_size=400), st.sampled_from(DIALECTS))
def test_read__any_bytes__are_the_same_rows_as_line_by_line(content: bytes, dialect: Dialect) -> None:
    whole = with_header(content, dialect)
    assert by_block(whole, dialect) == by_line(whole, dialect)


@given(st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join), st.integers(0, 12))
def test_read__after_a_line__gives_exactly_the_rest(content: bytes, after: int) -> None:
    dialect = DIALECTS[3]
    assert by_block(content, dialect, after) == [row for row in by_line(content, dialect) if row[0] > after]


@pytest.mark.parametrize("size", [lines.MAX_LINE_BYTES - 3, lines.MAX_LINE_BYTES, 5_000_000, 9_000_000])
def test_read__a_long_line_between_others__is_one_row_with_its_problem(size: int) -> None:
    content = b"1,2\n" * 1_500_000 + b"9" * size + b"\n3,4\n"
    found = list(blocks.read(io.BytesIO(b"a,b\n" + content), name="x", columns=("a", "b")))
    assert sum(table.num_rows for table in found) == 1_500_002
    problems = [row for table in found for row in table.column(blocks.PROBLEM).to_pylist() if row]
    assert len(problems) == 1
    assert found[-1].column(blocks.NUMBER)[-1].as_py() == 1_500_003
    assert found[-1].column("b")[-1].as_py() == "4"
