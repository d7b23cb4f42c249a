"""Jellyfin's HTTP API: one request at a time, with patience and clear errors.

Belongs here: requests, retries, what an answer may be. Does not belong here: paging (walk), what items mean (shapes).
"""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from nexus.errors import Category, NexusError, unavailable
from nexus.settings import JellyfinSettings

_TRIES = 5
_MAX_WAIT_S = 60.0
_MAX_ANSWER_BYTES = 64 << 20
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class Client:
    """Reads from one server."""

    def __init__(self, settings: JellyfinSettings, *, wait: Callable[[float], None] = time.sleep) -> None:
        if settings.url is None or settings.api_key is None:
            raise NexusError(
                "Jellyfin is not set up",
                field="jellyfin.url" if settings.url is None else "jellyfin.api_key",
                remedy="set NEXUS_JELLYFIN__URL and NEXUS_JELLYFIN__API_KEY (Jellyfin: Dashboard, API Keys)",
            )
        self._wait, self._url = wait, settings.url.rstrip("/")
        token = settings.api_key.get_secret_value()
        self._http = httpx.Client(
            headers={
                "Authorization": f'MediaBrowser Token="{token}", Client="NEXUS", Device="nexus", DeviceId="nexus", Version="1"',
                "Accept": "application/json",
            },
            timeout=httpx.Timeout(settings.timeout_s),
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        """The client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its connections."""
        self._http.close()

    def get(self, path: str, parameters: Mapping[str, str | int] | None = None) -> Any:
        """The JSON of an answer.

        Raises:
            NexusError: ``forbidden`` when the key is refused, ``not_found`` when there is no such thing, ``unavailable``
                when the server gives no whole answer after several tries, ``invalid`` when it is no Jellyfin.
        """
        reason = ""
        for attempt in range(_TRIES):
            pause = min(0.5 * 2**attempt, _MAX_WAIT_S)
            try:
                response, body = self._once(path, parameters)
            except httpx.HTTPError as error:
                reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            else:
                if response.status_code in _AGAIN:
                    reason = f"it answers {response.status_code}"
                    pause = self._asked_pause(response, pause)
                else:
                    self._refuse(response, path)
                    found, reason = self._parsed(response, body)
                    if not reason:
                        return found
            if attempt + 1 < _TRIES:
                self._wait(pause)
        raise unavailable(
            f"Jellyfin gives no whole answer ({reason})",
            field="jellyfin.url",
            value=self._url,
            remedy="see whether the server runs and its log; what was pulled so far stays, the next pull goes on from there",
            path=path,
        )

    def _once(self, path: str, parameters: Mapping[str, str | int] | None) -> tuple[httpx.Response, bytes]:
        try:
            with self._http.stream("GET", f"{self._url}{path}", params=dict(parameters or {})) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > _MAX_ANSWER_BYTES:
                        raise self._strange(f"one answer has over {_MAX_ANSWER_BYTES >> 20} MiB")
                return response, bytes(body)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise self._strange(f"the address cannot be used ({error})") from None

    def _asked_pause(self, response: httpx.Response, pause: float) -> float:
        asked = _retry_after(response.headers.get("Retry-After"))
        if asked is None:
            return pause
        if asked > _MAX_WAIT_S:
            raise unavailable(
                f"Jellyfin asks to wait {asked:.0f} s",
                field="jellyfin.url",
                value=self._url,
                remedy="pull again after that; what was pulled so far stays",
            )
        return asked

    def _refuse(self, response: httpx.Response, path: str) -> None:
        status = response.status_code
        if status in (401, 403):
            raise NexusError(
                f"Jellyfin refuses the key ({status})",
                category=Category.FORBIDDEN,
                field="jellyfin.api_key",
                remedy="make a new key in Jellyfin (Dashboard, API Keys) and set NEXUS_JELLYFIN__API_KEY",
            )
        if status in (400, 404):
            raise NexusError(
                f"Jellyfin knows no such thing ({status})",
                category=Category.NOT_FOUND,
                field="jellyfin.url",
                value=f"{self._url}{path}",
                remedy="check NEXUS_JELLYFIN__URL: with the base path, if the server has one",
            )
        if response.is_redirect:
            raise self._strange(f"it sends elsewhere ({response.headers.get('Location', '')[:100]}); set that address")
        if status != httpx.codes.OK:
            raise self._strange(f"it answers {status}")

    def _parsed(self, response: httpx.Response, body: bytes) -> tuple[Any, str]:
        """The JSON, or why there is none when another try may help."""
        start = body.lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
        if start not in (b"{", b"["):
            kind = response.headers.get("Content-Type", "no type")
            raise self._strange(f"it answers with {kind.partition(';')[0]}, not JSON: a proxy's or a login page?")
        try:
            return json.loads(body), ""
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
            return None, f"its JSON breaks off after {len(body)} bytes"

    def _strange(self, said: str) -> NexusError:
        return NexusError(
            f"this is no Jellyfin: {said}",
            field="jellyfin.url",
            value=self._url,
            remedy="set NEXUS_JELLYFIN__URL to the server itself, as in http://host:8096",
        )


def _retry_after(text: str | None) -> float | None:
    """Seconds that a server asks to wait: a number, or a date."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
