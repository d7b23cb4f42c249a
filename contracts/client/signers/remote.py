"""Keys that never leave their service: digests go out, signatures come back (KMS style).

Belongs here: the client of that protocol. Does not belong here: our own server of it (contracts/remote_signer.py).

The protocol, JSON over HTTP with a bearer token: ``GET /keys``, ``POST /keys {"role"}``, ``GET /keys/{address}``,
``POST /keys/{address}:sign {"digests": [32 bytes in hex, ...]}`` -> ``{"signatures": [{"r", "s"}, ...]}``. As with cloud
key services, s may be high and v is missing: both are made here, and every signature is checked against the address.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

import httpx
from pydantic import SecretStr

from contracts.client.signers.curve import recovered
from contracts.client.signers.envelope import KeySigner
from contracts.client.signers.model import SignerKey
from nexus.errors import Category, NexusError, not_found, unavailable

AT_ONCE = 256


class RemoteSigner:
    """The keys of a signing service.

    Args:
        url: Where it answers.
        token: Its bearer token.
        http: A client of one's own; None: one is made.
        timeout_s: Patience with one answer.
    """

    def __init__(
        self, url: str, token: SecretStr, *, http: httpx.AsyncClient | None = None, timeout_s: float = 10
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
        self._http = http or httpx.AsyncClient(timeout=timeout_s, trust_env=False)

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def make(self, role: str) -> str:
        """Have a key made; its address."""
        return str((await self._ask("POST", "/keys", {"role": role}))["address"])

    def signer(self, address: str) -> KeySigner:
        """The signer of a key; whether the service has it shows at the first signature."""
        return KeySigner(address.lower(), self)

    async def signatures(self, address: str, digests: Sequence[bytes]) -> list[bytes]:
        """Have digests signed under a key (:class:`KeySigner` asks).

        Raises:
            NexusError: ``unavailable`` when the service does not answer, ``forbidden``, ``not_found``, or ``internal``
                for a signature that is not this key's.
        """
        found: list[bytes] = []
        for start in range(0, len(digests), AT_ONCE):
            found += await self._signed(address, digests[start : start + AT_ONCE])
        return found

    async def _signed(self, address: str, digests: Sequence[bytes]) -> list[bytes]:
        body = {"digests": ["0x" + digest.hex() for digest in digests]}
        said: Any = (await self._ask("POST", f"/keys/{address}:sign", body)).get("signatures")
        try:
            pairs = [(int(one["r"], 16), int(one["s"], 16)) for one in said]
        except (TypeError, KeyError, ValueError):
            raise self._down("it answered with no signatures") from None
        if len(pairs) != len(digests):
            raise self._down(f"it signed {len(pairs)} of {len(digests)} digests")
        made = [recovered(digest, r, s, address) for digest, (r, s) in zip(digests, pairs, strict=True)]
        if None in made:
            raise NexusError(
                "the signing service answered with a signature of another key",
                category=Category.INTERNAL,
                field="signer",
                value=address,
                remedy="check web3.signer_url; nothing was sent",
            )
        return [one for one in made if one is not None]

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, self._url + path, json=body, headers=self._headers)
            found = answer.json() if answer.is_success else {}
        except httpx.HTTPError as error:
            raise self._down(type(error).__name__) from None
        except ValueError:
            raise self._down("it answered with no JSON") from None
        if answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise NexusError(
                "the signing service refuses the token",
                category=Category.FORBIDDEN,
                field="web3.signer_token",
                remedy="set NEXUS_WEB3__SIGNER_TOKEN to the service's token",
            )
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise not_found(
                "the signing service has no such key",
                field="signer",
                value=path.rsplit("/", maxsplit=1)[-1].removesuffix(":sign"),
                remedy="see bin/nexus keys list",
            )
        if not answer.is_success or not isinstance(found, dict):
            raise self._down(f"it answered {answer.status_code}")
        return found

    def _down(self, reason: str) -> NexusError:
        return unavailable(
            "the signing service does not answer", remedy="check web3.signer_url and the service", reason=reason
        )

    async def list(self) -> list[SignerKey]:
        """All keys, oldest first."""
        found = (await self._ask("GET", "/keys"))["keys"]
        return [SignerKey(one["address"], one["role"], datetime.fromisoformat(one["made_at"])) for one in found]
