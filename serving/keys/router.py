"""``GET /v1/keys``, ``POST /v1/keys/signer/rotate``."""

from __future__ import annotations

from fastapi import APIRouter

from serving.dependencies import StateOf
from serving.keys.schemas import KeysAnswer
from serving.operations.schemas import Started
from serving.problems import responses
from serving.responses import Json

router = APIRouter(tags=["keys"])


@router.get(
    "/v1/keys", summary="Keys that mint, keys that encrypt", response_model=KeysAnswer, responses=responses(503)
)
async def listed(state: StateOf) -> Json:
    """Addresses, ids and states; nothing that is secret."""
    return Json(await state.keys.listed())


@router.post(
    "/v1/keys/signer/rotate",
    summary="Replace a minting key",
    status_code=202,
    response_model=Started,
    responses=responses(409, 503),
)
async def rotate(state: StateOf) -> Json:
    """Starts an operation: the new key is granted, the old one drained and revoked, while mints go on."""
    return Json({"operation_id": await state.keys.rotate_signer()}, status_code=202)
