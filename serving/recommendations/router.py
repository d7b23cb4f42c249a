"""``GET /v1/users/{id}/recommendations``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from serving.dependencies import Explain, StateOf, UserId
from serving.problems import responses
from serving.recommendations.schemas import RecommendationsAnswer
from serving.responses import Json

router = APIRouter(tags=["viewers"])


@router.get(
    "/v1/users/{user_id:path}/recommendations",
    summary="What a viewer may like next, and why",
    response_model=RecommendationsAnswer,
    responses=responses(404, 422),
)
async def recommend(
    request: Request,
    state: StateOf,
    user: UserId,
    explain: Explain,
    limit: Annotated[int, Query(ge=1, le=100, description="how many titles", examples=[10])] = 10,
) -> Response:
    """Never a title the viewer has seen or hidden. A part that is away costs quality, not the answer.

    The same question within a minute gets the same answer, unless something changed; `Cache-Control: no-cache` asks for a
    new one.
    """
    given = await state.recommendations.give(user, limit, explain=explain)
    response = Json(given.answer)
    if given.keep is not None:
        key = (request.scope["path"], request.scope["query_string"])
        state.kept.put(key, bytes(response.body), **given.keep)
    return response
