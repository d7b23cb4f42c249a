"""What holds without a server: names, messages, errors, policies, what workflow files may import."""

from __future__ import annotations

import ast
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

import workflows
from nexus import temporal_names
from nexus.errors import Category, NexusError
from nexus.settings import Settings
from workflows import web3_worker, worker
from workflows.activities import names
from workflows.activities.web3 import Web3
from workflows.errors import to_application_error, to_nexus_error
from workflows.messages import IngestRequest, PromoteModelRequest
from workflows.policies import NAMED

pytestmark = pytest.mark.unit

FOLDER = Path(workflows.__file__ or "").parent
ID = UUID("00000000-0000-4000-8000-000000000001")


def test_worker__activities__are_exactly_those_that_have_names(tmp_path: Path) -> None:
    nothing: Any = SimpleNamespace(register_script=lambda script: script)
    registered = worker.activities(Settings(home=tmp_path), nothing, nothing)
    assert {activity._Definition.must_from_callable(one).name for one in registered} == names.ALL


def test_worker__workflows__are_known_by_their_public_names() -> None:
    registered = {workflow._Definition.must_from_class(one).name for one in worker.WORKFLOWS}
    assert registered == {getattr(temporal_names, name) for name in vars(temporal_names) if name.endswith("_WORKFLOW")}


def test_web3_worker__activities__are_exactly_those_that_have_names(tmp_path: Path) -> None:
    nothing: Any = SimpleNamespace(register_script=lambda script: script)
    registered = web3_worker.activities(Web3(Settings(home=tmp_path), nothing), nothing)
    assert {activity._Definition.must_from_callable(one).name for one in registered} == names.WEB3
    assert not names.WEB3 & names.ALL


WORKFLOW_FILES = (
    "ingest.py",
    "promote.py",
    "mint.py",
    "royalties.py",
    "proposals.py",
    "rotate_signer.py",
    "rotate_keys.py",
    "patience.py",
)


@pytest.mark.parametrize("file", WORKFLOW_FILES)
def test_workflow_files__calls__name_registered_activities(file: str) -> None:
    tree = ast.parse((FOLDER / file).read_text())
    used = {
        getattr(names, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "names"
    }
    assert used
    assert used <= names.ALL | names.WEB3


@pytest.mark.parametrize(
    "file", [*WORKFLOW_FILES, "steps.py", "updates.py", "messages.py", "web3_messages.py", "key_messages.py"]
)
def test_workflow_files__imports__are_messages_policies_and_names_only(file: str) -> None:
    own = {
        node.module if node.module != "workflows.activities" else "workflows.activities.names"
        for node in ast.walk(ast.parse((FOLDER / file).read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in {"workflows", "nexus"}
    }
    allowed = {
        "messages",
        "web3_messages",
        "key_messages",
        "policies",
        "patience",
        "steps",
        "updates",
        "activities.names",
    }
    assert own <= {"nexus", "nexus.temporal_names", "nexus.errors"} | {f"workflows.{name}" for name in allowed}


@pytest.mark.parametrize("policy", NAMED.values(), ids=NAMED.keys())
def test_policies__each__ends_some_time(policy: Any) -> None:
    assert timedelta(0) < policy.start_to_close <= policy.schedule_to_close <= timedelta(hours=1)
    assert policy.retry.maximum_interval is not None
    assert policy.heartbeat is None or policy.heartbeat < policy.start_to_close


@pytest.mark.parametrize("category", list(Category))
def test_errors__there_and_back__keep_category_and_facts(category: Category) -> None:
    error = NexusError("no", category=category, field="f", value="v", remedy="r", reason="because")
    crossed = to_application_error(error)
    assert crossed.type == category
    assert crossed.non_retryable is not error.retryable
    assert to_nexus_error(crossed).as_dict() == error.as_dict()


@pytest.mark.parametrize("cause", [None, ValueError("x"), ApplicationError("x", type="SomethingElse")])
def test_errors__unknown_cause__is_internal(cause: BaseException | None) -> None:
    assert to_nexus_error(cause).category is Category.INTERNAL


def test_request__equal_content__has_an_equal_fingerprint() -> None:
    first = IngestRequest(content_id=ID, title="A", genres=("x",))
    assert first.fingerprint() == IngestRequest.model_validate_json(first.model_dump_json()).fingerprint()
    assert first.fingerprint() != first.model_copy(update={"year": 1999}).fingerprint()


@given(st.text(max_size=600), st.integers(), st.integers())
def test_request__any_input__is_refused_or_survives_the_wire(title: str, year: int, limit: int) -> None:
    try:
        request = IngestRequest(content_id=ID, title=title, year=year, similar_limit=limit)
    except ValidationError:
        return
    assert IngestRequest.model_validate_json(request.model_dump_json()) == request


@pytest.mark.parametrize(
    "change", [{"title": ""}, {"similar_limit": 0}, {"audience_limit": 10**9}, {"content_id": "x"}]
)
def test_request__out_of_bounds__is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IngestRequest.model_validate({"content_id": ID, "title": "A"} | change)


def test_promote_payload__plain_data__is_the_message() -> None:
    payload = temporal_names.promote_payload(version="3", reason="r", require_approval=True, model_name="m")
    assert PromoteModelRequest.model_validate(payload).model_dump(include=set(payload)) == payload
