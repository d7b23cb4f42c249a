"""PromoteModel on the real engine; the registry's child process is a small script that writes the real pointer."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowHandle

from nexus import temporal_names
from nexus.errors import Category, NexusError
from nexus.settings import ROOT, Settings
from tests.workflows.conftest import StartWorker, until
from training.bundle_format import read_pointer, write_pointer
from workflows.client import approve, cancel_operation, describe_operation, run_promote, run_rollback
from workflows.messages import PromoteModelRequest, PromotionStatus

pytestmark = pytest.mark.integration

_CHILD = """
import json, sys
sys.path.insert(0, {root!r})
from training.bundle_format import read_pointer, write_pointer
command = json.load(sys.stdin)
before = read_pointer({bundles!r})
if command["version"] == "404":
    print(json.dumps({{"error": {{"message": "no such version", "category": "not_found", "field": "version",
                                  "value": "404", "remedy": "take one from models list"}}}}))
else:
    write_pointer({bundles!r}, command["version"] if command["action"] == "promote" else "1")
    print("a library prints")
    print(json.dumps({{"change": {{"champion": read_pointer({bundles!r}), "previous": before}}}}))
"""


@pytest.fixture
def bundles(platform: Settings, tmp_path: Path) -> Settings:
    """Settings with a bundle folder of this test's own, where version 1 is champion."""
    serving = platform.serving.model_copy(update={"bundle_url": str(tmp_path)})
    write_pointer(tmp_path, "1")
    return platform.model_copy(update={"serving": serving})


@pytest.fixture
def with_approval(bundles: Settings) -> Settings:
    return bundles.model_copy(update={"training": bundles.training.model_copy(update={"require_approval": True})})


@pytest.fixture
async def worker(bundles: Settings, start_worker: StartWorker) -> AsyncIterator[None]:
    script = _CHILD.format(root=str(ROOT), bundles=bundles.bundle_url)
    async with start_worker(child=(sys.executable, "-c", script)):
        yield


@pytest.mark.usefixtures("worker")
async def test_promote__then_rollback__moves_the_pointer_there_and_back(client: Client, bundles: Settings) -> None:
    promoted = await run_promote(bundles, "7", "better")
    assert promoted == {
        "workflow_id": "promote-recommender-7",
        "action": "promote",
        "version": "7",
        "outcome": "done",
        "champion": "7",
        "previous": "1",
        "decided_by": None,
    }
    assert read_pointer(bundles.bundle_url) == "7"
    rolled_back = await run_rollback(bundles, "worse after all")
    assert rolled_back["workflow_id"] == "rollback-recommender-7"
    assert rolled_back["champion"] == "1"
    status = await describe_operation(client, "promote-recommender-7")
    assert [(step.name, str(step.state)) for step in status.steps] == [("registry", "completed")]


@pytest.mark.usefixtures("worker")
async def test_promote__unknown_version__fails_with_the_registry_s_reason(bundles: Settings) -> None:
    with pytest.raises(NexusError) as refused:
        await run_promote(bundles, "404", "typo")
    assert (refused.value.category, refused.value.field) == (Category.NOT_FOUND, "version")


@pytest.mark.parametrize("version", ["", "../7", "a b", "x" * 65])
async def test_promote__malformed_version__is_refused_before_anything_starts(bundles: Settings, version: str) -> None:
    with pytest.raises(NexusError) as refused:
        await run_promote(bundles, version, "")
    assert refused.value.category is Category.INVALID


async def test_rollback__without_a_champion__says_so(platform: Settings) -> None:
    with pytest.raises(NexusError) as refused:
        await run_rollback(platform, "")
    assert refused.value.category is Category.NOT_FOUND


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("approved", "outcome", "champion"), [(True, "done", "8"), (False, "rejected", "1")])
async def test_promote__approval_asked_for__waits_and_does_as_told(
    client: Client, with_approval: Settings, approved: bool, outcome: str, champion: str
) -> None:
    waiting = await run_promote(with_approval, "8", "looks good")
    assert waiting["outcome"] == "waiting_for_approval"
    handle = client.get_workflow_handle(waiting["workflow_id"])
    await until(_status_is(handle, "waiting_for_approval"))
    assert read_pointer(with_approval.bundle_url) == "1"
    ended = await approve(with_approval, waiting["workflow_id"], approved, "the owner")
    assert (ended["outcome"], ended["decided_by"]) == (outcome, "the owner")
    assert read_pointer(with_approval.bundle_url) == champion
    with pytest.raises(NexusError) as late:
        await approve(with_approval, waiting["workflow_id"], True, "too late")
    assert late.value.category is Category.CONFLICT


@pytest.mark.usefixtures("worker")
async def test_promote__cancelled_while_waiting__changes_nothing(client: Client, with_approval: Settings) -> None:
    waiting = await run_promote(with_approval, "9", "")
    await cancel_operation(client, waiting["workflow_id"])

    async def cancelled() -> bool:
        return (await describe_operation(client, waiting["workflow_id"])).state == "cancelled"

    await until(cancelled)
    assert read_pointer(with_approval.bundle_url) == "1"


@pytest.mark.usefixtures("worker")
async def test_promote__nobody_approves_in_time__expires(client: Client, bundles: Settings) -> None:
    request = PromoteModelRequest(version="10", require_approval=True, approval_timeout_s=0.2)
    handle = await client.start_workflow(
        temporal_names.PROMOTE_WORKFLOW,
        request,
        id="promote-recommender-10",
        task_queue=bundles.temporal.task_queue,
    )
    assert (await handle.result())["outcome"] == "expired"
    assert read_pointer(bundles.bundle_url) == "1"


@pytest.mark.usefixtures("worker")
async def test_promote__started_by_name_with_plain_data__is_understood(client: Client, bundles: Settings) -> None:
    payload = temporal_names.promote_payload(
        version="11", reason="gate", require_approval=False, model_name=bundles.mlflow.model_name
    )
    result = await client.execute_workflow(
        temporal_names.PROMOTE_WORKFLOW,
        payload,
        id=temporal_names.promote_id(bundles.mlflow.model_name, "11"),
        task_queue=bundles.temporal.task_queue,
    )
    assert result["champion"] == "11"


def _status_is(handle: WorkflowHandle, state: str) -> Callable:
    async def ask() -> bool:
        status = await handle.query(temporal_names.STATUS_QUERY, result_type=PromotionStatus)
        return status.state == state

    return ask
