"""A signing service of our own: keys stay in its process, digests come in, signatures go out.

    python -m contracts.remote_signer --folder keys --port 18546

``NEXUS_SIGNER_TOKEN`` is the bearer token, ``NEXUS_SIGNER_PASSWORD`` wraps its keyring. It listens on loopback unless told
otherwise; behind anything else put TLS. The protocol is described in contracts/client/signers/remote.py.
Belongs here: that server. Does not belong here: transactions; it never sees more than digests.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from contracts.client.signers.curve import DIGEST_BYTES
from contracts.client.signers.keystore import Keystore
from contracts.client.signers.model import SignerKey
from contracts.client.signers.remote import AT_ONCE
from nexus.errors import Category, NexusError, invalid

_MAX_BODY_BYTES = 100_000
_SIGN = re.compile(r"/keys/(?P<address>0x[0-9a-f]{40}):sign")
_KEY = re.compile(r"/keys/(?P<address>0x[0-9a-f]{40})")
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_DIGEST = re.compile(r"0x[0-9a-f]{64}")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Service:
    """The ASGI application.

    Args:
        keys: The keys that it signs with.
        token: What callers have to show.
    """

    def __init__(self, keys: Keystore, token: str) -> None:
        self._keys = keys
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            status, body = await self._answer(scope, receive)
        except NexusError as error:
            status, body = error.status, error.as_dict()
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": int(status), "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[HTTPStatus, dict[str, Any]]:
        shown = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(shown, self._expected):
            return HTTPStatus.UNAUTHORIZED, {"message": "show the bearer token"}
        match scope["method"], scope["path"]:
            case "GET", "/keys":
                return HTTPStatus.OK, {"keys": [_told(key) for key in await self._keys.list()]}
            case "POST", "/keys":
                return HTTPStatus.CREATED, await self._make(await _document(receive))
            case "GET", path if found := _KEY.fullmatch(path):
                return await self._one(found["address"])
            case "POST", path if found := _SIGN.fullmatch(path):
                return HTTPStatus.OK, await self._sign(found["address"], await _document(receive))
        return HTTPStatus.NOT_FOUND, {"message": "no such resource"}

    async def _make(self, document: dict[str, Any]) -> dict[str, Any]:
        role = document.get("role")
        if not isinstance(role, str) or not _ROLE.fullmatch(role):
            raise invalid("this is no role", field="role", value=role, remedy="lower-case letters, digits, - and _")
        address = await self._keys.make(role)
        return next(_told(key) for key in await self._keys.list() if key.address == address)

    async def _one(self, address: str) -> tuple[HTTPStatus, dict[str, Any]]:
        for key in await self._keys.list():
            if key.address == address:
                return HTTPStatus.OK, _told(key)
        return HTTPStatus.NOT_FOUND, {"message": "there is no such key"}

    async def _sign(self, address: str, document: dict[str, Any]) -> dict[str, Any]:
        asked = document.get("digests")
        if not isinstance(asked, list) or not 0 < len(asked) <= AT_ONCE:
            raise invalid(
                "digests are missing, or too many", field="digests", value=None, remedy=f"send 1 to {AT_ONCE} digests"
            )
        if not all(isinstance(one, str) and _DIGEST.fullmatch(one) for one in asked):
            raise invalid(
                "this is no digest", field="digests", value=None, remedy=f"send {DIGEST_BYTES} bytes, 0x and hex"
            )
        self._keys.signer(address)
        found = await self._keys.signatures(address, [bytes.fromhex(one[2:]) for one in asked])
        return {"signatures": [{"r": "0x" + one[:32].hex(), "s": "0x" + one[32:64].hex()} for one in found]}


def _told(key: SignerKey) -> dict[str, Any]:
    return {"address": key.address, "role": key.role, "made_at": key.made_at.isoformat()}


async def _document(receive: Receive) -> dict[str, Any]:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _MAX_BODY_BYTES:
            raise invalid(
                "the body is too large", field="body", value=len(body), remedy=f"send {AT_ONCE} digests at most"
            )
        if not message.get("more_body"):
            break
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise invalid(
            "the body is no JSON object", field="body", value=None, remedy="see contracts/client/signers/remote.py"
        )
    return found


def secret(name: str) -> str:
    """A secret from the environment.

    Raises:
        NexusError: category ``invalid`` when it is missing or short.
    """
    value = os.environ.get(name, "")
    if len(value) < 16:
        raise NexusError(
            "a secret of 16 characters or more is needed", category=Category.INVALID, field=name, remedy=f"set {name}"
        )
    return value


def main() -> int:
    """Serve until ended."""
    import uvicorn

    from nexus.keyring import FILE, Keyring

    parser = argparse.ArgumentParser(description="A signing service that keeps keys to itself.")
    parser.add_argument("--folder", type=Path, required=True, help="where keyring and keys are kept")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=18546)
    given = parser.parse_args()
    try:
        keyring = Keyring(given.folder / FILE, secret("NEXUS_SIGNER_PASSWORD"))
        service = Service(Keystore(given.folder / "signers", keyring), secret("NEXUS_SIGNER_TOKEN"))
    except NexusError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    uvicorn.run(service, host=given.host, port=given.port, log_level="warning", access_log=False, lifespan="off")
    return 0


if __name__ == "__main__":
    sys.exit(main())
