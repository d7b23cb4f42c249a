"""``GET /v1/users/{id}/history``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from serving.dependencies import StateOf, UserId
from serving.history.schemas import HistoryAnswer
from serving.problems import responses
from serving.responses import Json

router = APIRouter(tags=["viewers"])


@router.get(
    "/v1/users/{user_id:path}/history",
    summary="What a viewer watched, newest first",
    response_model=HistoryAnswer,
    responses=responses(404, 422, 503),
)
async def history(
    state: StateOf,
    user: UserId,
    limit: Annotated[int, Query(ge=1, le=1000, description="how many lines", examples=[50])] = 50,
) -> Json:
    """Viewings, ratings, likes and dislikes."""
    return Json({"items": await state.history.newest(user, limit)})
