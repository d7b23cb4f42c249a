"""What a token says is the same bytes for the same title, and never more than one block."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.db.content import ContentRecord
from nexus.errors import Category, NexusError
from nexus.token_metadata import canonical, manifest, of_title

pytestmark = pytest.mark.unit

ID = uuid.UUID("00000000-0000-4000-8000-000000000001")


def _title(**changes: object) -> ContentRecord:
    return ContentRecord.model_validate({"content_id": ID, "title": "Amélie", "content_type": "movie"} | changes)


def test_metadata__a_title__is_canonical() -> None:
    assert of_title(_title(year=2001, genres=("Romance", "Comedy"), overview="Paris.")).decode() == (
        '{"description":"Paris.","genres":["Romance","Comedy"],"id":"00000000-0000-4000-8000-000000000001",'
        '"name":"Amélie","overview":"Paris.","title":"Amélie","type":"movie","year":2001}'
    )


@given(
    title=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=500),
    overview=st.text(st.characters(exclude_categories=["Cs"]), max_size=500) | st.none(),
)
def test_metadata__any_text__is_json_and_stable(title: str, overview: str | None) -> None:
    said = of_title(_title(title=title, overview=overview))
    assert said == of_title(_title(title=title, overview=overview))
    assert json.loads(said)["name"] == title
    assert canonical(json.loads(said)) == said


def test_metadata__over_the_limit__is_refused_with_its_size() -> None:
    title = _title(overview="é" * 20_000)
    size = len(of_title(title))
    assert of_title(title, limit_bytes=size)
    with pytest.raises(NexusError, match="over the limit") as refused:
        of_title(title, limit_bytes=size - 1)
    assert (refused.value.category, refused.value.field) == (Category.INVALID, "overview")


def test_manifest__addresses_in_any_case__are_one_message() -> None:
    facts = {"content_id": ID, "cid": "bafk", "token_id": 2**255, "chain_id": 1}
    upper = manifest(**facts, contract="0xAB", to="0xCD")  # type: ignore[arg-type]
    assert upper == manifest(**facts, contract="0xab", to="0xcd")  # type: ignore[arg-type]
    assert json.loads(upper)["token"] == str(2**255)
