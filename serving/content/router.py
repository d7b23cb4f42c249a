"""``GET /v1/content/{id}``, ``GET /v1/content/{id}/similar``, ``GET /v1/search``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from nexus.errors import invalid
from serving.content.schemas import TitleAnswer, TitlesAnswer
from serving.dependencies import ContentId, StateOf
from serving.problems import responses
from serving.responses import Json

router = APIRouter(tags=["content"])
Limit = Annotated[int, Query(ge=1, le=100, description="how many titles", examples=[10])]


@router.get(
    "/v1/content/{content_id:path}/similar",
    summary="Titles whose text is alike",
    response_model=TitlesAnswer,
    responses=responses(404, 422, 503),
)
async def similar(state: StateOf, content: ContentId, limit: Limit = 10) -> Json:
    """By cosine similarity of what titles say about themselves."""
    return Json({"items": await state.content.similar(content, limit)})


@router.get(
    "/v1/content/{content_id:path}",
    summary="What is known about a title",
    response_model=TitleAnswer,
    responses=responses(404, 422, 503),
)
async def content(state: StateOf, content: ContentId) -> Json:
    """Metadata, external ids, popularity."""
    return Json(await state.content.get(content))


@router.get(
    "/v1/search",
    summary="Titles by what they mean",
    response_model=TitlesAnswer,
    responses=responses(422),
)
async def search(
    state: StateOf,
    q: Annotated[str, Query(min_length=1, max_length=500, description="any words", examples=["a heist goes wrong"])],
    limit: Limit = 10,
) -> Json:
    """A title that is called what was asked comes first, then those that mean it."""
    if not q.strip():
        raise invalid("q has no visible characters", field="q", value=q, remedy="say what you look for")
    return Json({"items": await state.content.search(q, limit)})
