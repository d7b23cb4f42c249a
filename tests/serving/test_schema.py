"""Whatever a client sends, the API answers as its OpenAPI description says."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from nexus.settings import Settings

pytestmark = pytest.mark.slow

CASES_PER_ROUTE = 25
EVENTS = "/v1/events"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def send(client: Any, case: schemathesis.Case) -> Any:
    """One generated request through the running app."""
    words = case.as_transport_kwargs(base_url="http://testserver")
    if "data" in words:
        data = words.pop("data")
        words["content"] = data if isinstance(data, bytes | str) else str(data)
    known = {name: words[name] for name in ("method", "url", "params", "headers", "json", "content") if name in words}
    return client.request(**known)


@pytest.fixture(scope="module", autouse=True)
def _imported(settings: Settings) -> None:
    """What the app imports in threads beside the test: until 3.11.8 two threads that parse Python break each other
    (python/cpython #106905), and hypothesis parses a lot."""
    from serving.recommendations.context import feature_reader

    feature_reader(settings)
    for name in ("workflows.client", "contracts.client.governor", "contracts.client.rpc.pool", "nexus.keyring"):
        importlib.import_module(name)


@pytest.fixture(scope="module")
def owning(web3_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The app on a real chain; nobody works on the operations that are started."""
    from starlette.testclient import TestClient

    from serving.app import create_app

    update = {
        "serving": web3_home.serving.model_copy(update={"bundle_url": str(tmp_path_factory.mktemp("bundles"))}),
        "web3": web3_home.web3.model_copy(update={"domain": "testserver"}),
        "temporal": web3_home.temporal.model_copy(update={"task_queue": f"test-{uuid4()}"}),
    }
    with TestClient(create_app(web3_home.model_copy(update=update))) as client:
        yield client


def test_every_route__generated_requests__conform(shared) -> None:
    assert asked_of(shared, lambda _: True) > 200


def test_ownership__on_a_chain__generated_requests_conform(owning) -> None:
    routes = ("/v1/wallets", "/v1/tokens", "/v1/keys", "/v1/royalties", "/v1/governance", "/v1/web3")
    endings = ("/mint", "/token", "/wallets", "/wallets/{address}")
    assert asked_of(owning, lambda path: path.startswith(routes) or path.endswith(endings)) > 100


def asked_of(client: Any, is_wanted: Callable[[str], bool]) -> int:
    """Ask all routes that are wanted; how many requests that were."""
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    asked = 0
    for operation in schema.get_all_operations():
        found = operation.ok()
        if not is_wanted(found.path):
            continue

        @given(case=found.as_strategy() | found.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
        @settings(
            max_examples=CASES_PER_ROUTE,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def holds(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            # Of a batch of events the wrong ones are named in the answer, and the rest goes on.
            refuses = [] if case.operation.path == EVENTS else [negative_data_rejection]
            case.validate_response(send(client, case), checks=CHECKS + refuses)

        holds()
    return asked


@pytest.mark.parametrize("body", [b"\xff\xfe{}", b'{"title": "\xc3\x28"}', b"{", b""])
def test_content__bytes_that_are_no_json__is_a_documented_refusal(shared, body) -> None:
    response = shared.post("/v1/content", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert response.json()["field"]


@given(body=st.binary(max_size=300))
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_events__any_bytes__never_a_server_error(shared, body) -> None:
    response = shared.post("/v1/events", content=body)
    assert response.status_code in {202, 422}
