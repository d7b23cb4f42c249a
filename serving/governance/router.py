"""``GET /v1/royalties``, ``GET /v1/governance``."""

from __future__ import annotations

from fastapi import APIRouter

from serving.dependencies import StateOf
from serving.governance.schemas import GovernanceAnswer, RoyaltiesAnswer
from serving.problems import responses
from serving.responses import Json

router = APIRouter(tags=["ownership"])


@router.get(
    "/v1/royalties", summary="Where royalties go", response_model=RoyaltiesAnswer, responses=responses(409, 503)
)
async def royalties(state: StateOf) -> Json:
    """Read from the chain, at most three seconds old."""
    return Json(await state.governance.royalties())


@router.get(
    "/v1/governance", summary="What members decide", response_model=GovernanceAnswer, responses=responses(409, 503)
)
async def governance(state: StateOf) -> Json:
    """Read from the chain, at most three seconds old."""
    return Json(await state.governance.state())
