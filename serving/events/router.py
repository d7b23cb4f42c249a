"""``POST /v1/events``."""

from __future__ import annotations

from fastapi import APIRouter, Request

from serving.dependencies import StateOf
from serving.events.schemas import EventsAnswer, request_body
from serving.problems import responses
from serving.responses import Json

router = APIRouter(tags=["events"])


@router.post(
    "/v1/events",
    summary="Tell what viewers did",
    status_code=202,
    response_model=EventsAnswer,
    responses=responses(413, 422, 503),
    openapi_extra=request_body(),
)
async def accept(request: Request, state: StateOf) -> Json:
    """Each event is checked on its own; the good ones are taken in one step, each event_id once.

    After 202 an event is kept: it shows in the next history and recommendations, and reaches the lake exactly once.
    """
    outcome = await state.events.accept(await request.body())
    answer = {"accepted": outcome.accepted, "duplicates": outcome.duplicates, "refused": outcome.refused}
    return Json(answer, status_code=202)
