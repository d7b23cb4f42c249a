"""Recorded histories still replay: code that is deployed can take over workflows that are running."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from nexus import temporal_names
from workflows.activities import names
from workflows.messages import IngestRequest, IngestResult, StoredContent
from workflows.policies import QUICK
from workflows.worker import WORKFLOWS

pytestmark = pytest.mark.integration  # the replayer runs the engine's core, which opens sockets of its own

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def _history(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text())


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_replay__recorded_history__is_deterministic(path: Path) -> None:
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)
    await replayer.replay_workflow(_history(path))


def test_histories__every_way_to_end__is_recorded() -> None:
    assert {path.stem for path in HISTORIES} == {
        "ingest-completed",
        "ingest-refused",
        "ingest-cancelled",
        "promote-completed",
        "promote-approved",
        "promote-rejected",
        "promote-expired",
        "mint-completed",
        "mint-again",
        "mint-taken",
        "mint-cancelled",
        "mint-outrun",
        "royalties-completed",
        "proposal-executed",
        "proposal-defeated",
        "rotate-signer-completed",
        "rotate-keys-completed",
    }


@workflow.defn(name=temporal_names.INGEST_WORKFLOW)
class StoresTwice:
    """A change that breaks running workflows."""

    @workflow.run
    async def run(self, request: IngestRequest) -> IngestResult:
        for _ in range(2):
            await workflow.execute_activity(names.STORE_CONTENT, request, result_type=StoredContent, **QUICK.options())
        return IngestResult(content_id=request.content_id)


async def test_replay__changed_workflow__is_caught() -> None:
    (path,) = [path for path in HISTORIES if path.stem == "ingest-completed"]
    replayer = Replayer(
        workflows=[StoresTwice],
        data_converter=pydantic_data_converter,
        workflow_runner=UnsandboxedWorkflowRunner(),  # the sandbox would import this test module
    )
    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(_history(path))
