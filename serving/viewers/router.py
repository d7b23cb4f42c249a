"""``GET /v1/users``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from serving.dependencies import StateOf
from serving.problems import responses
from serving.responses import Json
from serving.viewers.schemas import ViewersAnswer

router = APIRouter(tags=["viewers"])


@router.get(
    "/v1/users",
    summary="Who is here",
    response_model=ViewersAnswer,
    responses=responses(422, 503),
)
async def users(
    state: StateOf,
    limit: Annotated[int, Query(ge=1, le=1000, description="how many viewers", examples=[20])] = 50,
    q: Annotated[str, Query(max_length=200, description="part of a name or id", examples=["movielens:1"])] = "",
) -> Json:
    """The most active first; one whose name is exactly what was asked comes before."""
    return Json({"items": await state.directory.find(limit, q)})
