"""``POST /v1/content``, ``GET /v1/operations/{id}``, ``POST /v1/operations/{id}/cancel``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from serving.dependencies import StateOf
from serving.operations.schemas import CancelAnswer, NewContent, OperationAnswer, Started
from serving.problems import responses
from serving.responses import Json

router = APIRouter(tags=["operations"])
OperationId = Annotated[
    str, Path(max_length=200, description="from the answer that started it", examples=["ingest-2f1a-0c9d"])
]


@router.post(
    "/v1/content",
    summary="Take in a title",
    status_code=202,
    response_model=Started,
    responses=responses(413, 422, 503),
    tags=["content"],
)
async def ingest(state: StateOf, new: NewContent) -> Json:
    """Starts an operation: store, embed, find what is alike and who would like it. Follow it under its id."""
    return Json({"operation_id": await state.operations.ingest(new)}, status_code=202)


@router.get(
    "/v1/operations/{operation_id}",
    summary="How an operation is doing",
    response_model=OperationAnswer,
    responses=responses(404, 422, 503),
)
async def describe(state: StateOf, operation_id: OperationId) -> Json:
    """State, steps with their times, and the result once there is one."""
    return Json(await state.operations.describe(operation_id))


@router.post(
    "/v1/operations/{operation_id}/cancel",
    summary="Stop an operation",
    status_code=202,
    response_model=CancelAnswer,
    responses=responses(404, 409, 422, 503),
)
async def cancel(state: StateOf, operation_id: OperationId) -> Json:
    """It ends in a consistent state; one that has ended answers 409."""
    await state.operations.cancel(operation_id)
    return Json({"operation_id": operation_id, "state": "cancelling"}, status_code=202)
