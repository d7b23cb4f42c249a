import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus import ids
from nexus.errors import Category, NexusError

pytestmark = pytest.mark.unit

_references = st.builds(
    ids.Reference,
    issuer=st.from_regex(r"[a-z][a-z0-9_.-]{0,31}", fullmatch=True),
    value=st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=128),
)


@given(_references)
def test_parse__written_reference__round_trips(reference: ids.Reference) -> None:
    assert ids.parse(str(reference)) == reference


@given(st.uuids())
def test_parse__uuid_text_in_any_case__round_trips(identifier: uuid.UUID) -> None:
    assert ids.parse(str(identifier)) == identifier
    assert ids.parse(str(identifier).upper()) == identifier


@pytest.mark.parametrize(
    "text",
    [
        "",
        "movielens",
        "movielens:",
        ":1",
        "Movielens:1",
        "movielens:a b",
        "movielens:1\n",
        "x" * 40 + ":1",
        7,
        None,
        b"a:1",
    ],
)
def test_parse__malformed__names_field_value_and_remedy(text: object) -> None:
    with pytest.raises(NexusError) as caught:
        ids.parse(text, field="user")
    assert caught.value.category is Category.INVALID
    assert caught.value.field == "user"
    assert "movielens:1" in (caught.value.remedy or "")


def test_internal__same_reference__same_uuid_per_kind() -> None:
    reference = ids.Reference("movielens", "1")
    assert ids.internal("user", reference) == ids.internal("user", reference)
    assert ids.internal("user", reference) != ids.internal("content", reference)
    assert ids.internal("content", reference).version == 5
