"""``POST /v1/wallets/nonce``, ``POST /v1/wallets/verify``, ``GET|DELETE /v1/wallets/session``, a viewer's wallets."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from serving.dependencies import StateOf, UserId
from serving.problems import responses
from serving.responses import Json
from serving.wallets import evm
from serving.wallets.schemas import Ask, Asked, Entered, Session, Verify, WalletsAnswer
from serving.wallets.service import SESSION_TTL

router = APIRouter(tags=["wallets"])
COOKIE = "nexus_wallet"
Address = Annotated[str, Path(pattern=evm.ADDRESS, examples=["0x70997970C51812dc3A010C7d01b50e0d17dc79C8"])]


def _client(request: Request) -> str:
    return request.client.host if request.client is not None else "unknown"


def _host(request: Request) -> str:
    return request.headers.get("host", "")


@router.post(
    "/v1/wallets/nonce",
    summary="A message for a wallet to sign",
    response_model=Asked,
    responses=responses(403, 404, 409, 413, 422, 429, 503),
)
async def ask(state: StateOf, request: Request, wanted: Ask) -> Json:
    """Sign-In with Ethereum (EIP-4361). With a viewer, signing it links the wallet to them."""
    host = _host(request)
    return Json(
        await state.wallets.ask(
            wanted.address,
            wanted.user,
            origin=f"{request.url.scheme}://{host}",
            host=host,
            client=_client(request),
        )
    )


@router.post(
    "/v1/wallets/verify",
    summary="Sign in with a signed message",
    response_model=Entered,
    responses=responses(403, 409, 413, 422, 429, 503),
)
async def verify(state: StateOf, request: Request, signed: Verify) -> Json:
    """Each message counts once. The session ends after twelve hours, or when the wallet is unlinked."""
    entered, token = await state.wallets.sign_in(
        signed.message, signed.signature, host=_host(request), client=_client(request)
    )
    answer = Json(entered)
    answer.set_cookie(
        COOKIE,
        token,
        max_age=int(SESSION_TTL.total_seconds()),
        path="/v1/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


@router.get(
    "/v1/wallets/session",
    summary="Which wallet is signed in here",
    response_model=Session,
    responses=responses(503),
)
async def session(state: StateOf, request: Request) -> Json:
    """Nobody: both fields are null."""
    return Json(await state.wallets.session(request.cookies.get(COOKIE)))


@router.delete("/v1/wallets/session", summary="Sign out", status_code=204, responses=responses(503))
async def sign_out(state: StateOf, request: Request) -> Response:
    """Also when nobody was signed in."""
    await state.wallets.sign_out(request.cookies.get(COOKIE))
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, path="/v1/", httponly=True, samesite="strict")
    return answer


@router.get(
    "/v1/users/{user_id:path}/wallets",
    summary="A viewer's wallets",
    response_model=WalletsAnswer,
    responses=responses(404, 422, 503),
)
async def listed(state: StateOf, user: UserId) -> Json:
    """Those whose owner proved to hold the key."""
    return Json({"items": await state.wallets.of(user)})


@router.delete(
    "/v1/users/{user_id:path}/wallets/{address}",
    summary="Unlink a wallet",
    status_code=204,
    responses=responses(403, 404, 422, 503),
)
async def unlink(state: StateOf, request: Request, user: UserId, address: Address) -> Response:
    """Only who is signed in with this very wallet."""
    await state.wallets.unlink(user, address, request.cookies.get(COOKIE))
    return Response(status_code=204)
