"""``POST /v1/content/{id}/mint``, ``GET /v1/content/{id}/token``, ``GET /v1/tokens/{token_id}``, ``GET /v1/web3``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from serving.dependencies import ContentId, StateOf
from serving.operations.schemas import Started
from serving.problems import responses
from serving.responses import Json
from serving.tokens.schemas import UINT256, Mint, TokenAnswer, Web3Answer

router = APIRouter(tags=["tokens"])
TokenId = Annotated[str, Path(pattern=UINT256, description="decimal", examples=["8381419838310255821973107826"])]


@router.post(
    "/v1/content/{content_id:path}/mint",
    summary="Mint a title",
    status_code=202,
    response_model=Started,
    responses=responses(404, 409, 413, 422, 503),
)
async def mint(state: StateOf, content: ContentId, wanted: Mint | None = None) -> Json:
    """Starts an operation that ends in exactly one token. The same title again is the same operation."""
    asked = wanted or Mint()
    operation_id = await state.tokens.mint(content, asked.to, asked.royalty_bps)
    return Json({"operation_id": operation_id}, status_code=202)


@router.get(
    "/v1/content/{content_id:path}/token",
    summary="A title's token",
    response_model=TokenAnswer,
    responses=responses(404, 422, 503),
)
async def of_content(state: StateOf, content: ContentId) -> Json:
    """With its transaction, its proof, and where its metadata can be read."""
    return Json(await state.tokens.of_content(content))


@router.get(
    "/v1/tokens/{token_id}",
    summary="A token by its number",
    response_model=TokenAnswer,
    responses=responses(404, 422, 503),
)
async def token(state: StateOf, token_id: TokenId) -> Json:
    """Numbers of tokens are decimal strings: they are longer than JSON numbers can be."""
    return Json(await state.tokens.get(token_id))


@router.get("/v1/web3", summary="Whether titles can be minted here", response_model=Web3Answer)
async def web3(state: StateOf) -> Json:
    """Asks nobody."""
    return Json(state.web3.described())
