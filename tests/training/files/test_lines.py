"""Lines in every form that the contract names, and lines that cannot be used."""

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.errors import NexusError
from training.files import lines

pytestmark = pytest.mark.unit

FORMS = {
    "spaces": b"u1 a\nu1 b\nu2 a\n",
    "runs of blanks": b"  u1   a  \nu1\t b\r\nu2  a\n",
    "tabs": b"u1\ta\nu1\tb\nu2\ta\n",
    "commas": b"u1,a\nu1,b\nu2,a",
    "semicolons": b"u1;a\nu1;b\nu2;a\n",
    "colons": b"u1::a\nu1::b\nu2::a\n",
    "header": b"user_id,item_id\nu1,a\nu1,b\nu2,a\n",
    "header in another order, with a mark at the beginning": b"\xef\xbb\xbfmovieId,foo,userId\r\na,1,u1\r\nb,1,u1\r\na,1,u2\r\n",
    "RecBole": b"user_id:token\titem_id:token\nu1\ta\nu1\tb\nu2\ta\n",
    "quotes": b'"u1","a"\n"u1","b"\n"u2","a"\n',
    "half a quote": b'"u1,a\nu1,b\nu2,a\n',
    "blank lines": b"\nu1,a\n\nu1,b\nu2,a\n\n",
}


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS.keys())
def test_read__two_columns_in_any_form__are_user_and_item_in_order(content: bytes) -> None:
    found = lines.read(content, "plays.txt")
    assert found.frame.select("user", "item").rows() == [("u1", "a"), ("u1", "b"), ("u2", "a")]
    assert not found.has_times
    assert found.frame["at_s"].to_list() == [0.0] * 3
    assert found.frame["rating"].null_count() == 3


@pytest.mark.parametrize(
    ("content", "at_s"),
    [
        (b"u a 978300760\n", 978300760.0),
        (b"u,a,978300760000\n", 978300760.0),
        (b"user,item,rating,timestamp\nu,a,5,978300760\n", 978300760.0),
        (b"u::a::5::978300760\n", 978300760.0),
        (b"u\ta\t3\t978300760\n", 978300760.0),
        (b"u,a,2000-12-31T22:12:40Z\n", 978300760.0),
        (b"u,a,2000-12-31 22:12:40\n", 978300760.0),
        (b"u,a,2000-12-31T23:12:40+01:00\n", 978300760.0),
        (b"u,a,2000-12-31\n", 978220800.0),
        (b"u,a,3\n", 3.0),
    ],
    ids=str,
)
def test_read__a_column_of_times__is_seconds_since_1970(content: bytes, at_s: float) -> None:
    found = lines.read(content, "plays.csv")
    assert found.has_times
    assert found.frame["at_s"].to_list() == [at_s]


def test_read__broken_lines__are_counted_with_their_first_line() -> None:
    content = b"userId,movieId,rating,timestamp\n1,10,4.0,5\n1,11,x,5\n,12,1,5\n2,nan,1,5\n2,13,nan,5\n2,14,5,-1\n2,15,5,9\n3,1,1,1\n4,1,1,1\n5,1,1,1\n"
    found = lines.read(content, "ratings.csv")
    assert found.frame.height == 5
    assert len(found.notes) == 1
    assert "5 of 10 lines of ratings.csv are left out" in found.notes[0]
    assert "2 with a rating that is no number from 0 (first in line 3)" in found.notes[0]
    assert "1 with a time that is none (first in line 7)" in found.notes[0]


def test_read__more_broken_lines_than_good__names_line_value_and_remedy() -> None:
    with pytest.raises(NexusError) as refused:
        lines.read(b"u,i,7\nu,j,yesterday\nu,k,x\n", "plays.csv")
    assert refused.value.field == "plays.csv, line 2"
    assert refused.value.value == "u j yesterday"
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no lines"),
        (b"\n \n", "no lines"),
        (b"user,item\n", "a header and no lines"),
        (b"alone\nalone\n", "one field each"),
        (b"user,shoe size\n1,2\n", "names no item"),
    ],
    ids=str,
)
def test_read__nothing_to_learn_from__is_one_error(content: bytes, reason: str) -> None:
    with pytest.raises(NexusError, match=reason) as refused:
        lines.read(content, "plays.csv")
    assert refused.value.field == "plays.csv"


def test_read__ratings_of_other_scales__become_parts_of_five() -> None:
    assert lines.read(b"user,item,rating\nu,i,9\nu,j,1\n", "a").frame["rating"].to_list() == pytest.approx([4.5, 0.5])
    counted = lines.read(b"user,item,rating\nu,i,900\nu,j,1\n", "a")
    assert counted.frame["rating"].null_count() == 2
    assert "counts" in counted.notes[0]


def test_read__text_that_is_not_utf8__keeps_viewers_apart() -> None:
    assert lines.read("é,1\nü,1\n".encode("latin-1"), "a").frame["user"].to_list() == ["é", "ü"]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet='u1 ,\t:;"\n.-nax', max_size=200).map(str.encode))
def test_read__any_bytes__give_good_rows_or_one_error(content: bytes) -> None:
    try:
        found = lines.read(content, "any")
    except NexusError as error:
        refused = error
        found = None
    if found is None:
        assert refused.field
        assert refused.remedy
        return
    assert found.frame.height > 0
    assert found.frame.select("user", "item", "at_s").null_count().row(0) == (0, 0, 0)
    assert found.frame["at_s"].is_finite().all()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99), st.integers(0, 10**10)), min_size=1),
    st.sampled_from([" ", "\t", ",", ";", "::"]),
)
def test_read__what_was_written__comes_back(rows: list[tuple[int, int, int]], separator: str) -> None:
    content = "".join(separator.join(map(str, row)) + "\n" for row in rows).encode()
    found = lines.read(content, "any").frame
    assert found.select("user", "item", "at_s").rows() == [(str(u), str(i), float(t)) for u, i, t in rows]


def test_read__gzip_by_mistake__is_refused() -> None:
    with pytest.raises(NexusError, match="no text"):
        lines.read(gzip.compress(b"1 2\n"), "plays.txt")
