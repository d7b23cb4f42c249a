"""``GET /v1/models``."""

from __future__ import annotations

from fastapi import APIRouter

from serving.dependencies import StateOf
from serving.models.schemas import ModelsAnswer
from serving.responses import Json

router = APIRouter(tags=["models"])


@router.get("/v1/models", summary="Models and which one is served", response_model=ModelsAnswer)
async def models(state: StateOf) -> Json:
    """From the registry; while it is away, the served one alone."""
    return Json(await state.models.listed())
