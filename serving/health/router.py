"""``GET /health/live``, ``GET /health/ready``, ``GET /metrics``."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from serving.dependencies import StateOf
from serving.health.schemas import Alive, Readiness
from serving.responses import Json

router = APIRouter(tags=["health"])


@router.get("/health/live", summary="The process answers", response_model=Alive)
async def live() -> Json:
    """Asks nobody."""
    return Json({"status": "alive"})


@router.get(
    "/health/ready",
    summary="Recommendations can be answered",
    response_model=Readiness,
    responses={503: {"description": "no titles are known yet", "model": Readiness}},
)
async def ready(state: StateOf) -> Json:
    """Ready once titles are known; the state of every part beside it."""
    is_ready, answer = await state.health.ready()
    return Json(answer, status_code=200 if is_ready else 503)


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "text exposition format",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": 'nexus_model_info{version="3"} 1.0'}},
        }
    },
)
async def metrics(state: StateOf) -> Response:
    """Counts and times of this process."""
    return Response(state.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
