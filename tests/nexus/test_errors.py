import pytest

from nexus.errors import Category, NexusError, invalid, unavailable

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("category", "status", "retryable"),
    [
        (Category.INVALID, 422, False),
        (Category.NOT_FOUND, 404, False),
        (Category.UNAVAILABLE, 503, True),
        (Category.TIMEOUT, 504, True),
    ],
)
def test_error__category__decides_status_and_retries(category: Category, status: int, retryable: bool) -> None:
    error = NexusError("x", category=category)
    assert (error.status, error.retryable) == (status, retryable)


def test_error__as_text__says_field_value_and_remedy() -> None:
    text = str(invalid("limit is out of range", field="limit", value=0, remedy="send 1 to 100"))
    assert text == "limit is out of range; field: limit; value: '0'; remedy: send 1 to 100"


def test_error__as_dict__leaves_out_what_is_not_known() -> None:
    assert unavailable("redis is down", remedy="wait", part="redis").as_dict() == {
        "message": "redis is down",
        "category": "unavailable",
        "remedy": "wait",
        "part": "redis",
    }
