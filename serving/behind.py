"""An app behind layers that see a request before FastAPI's own layers do.

Belongs here: the order of the outermost layers. Does not belong here: what a layer does, putting the app together (serving.app).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send


class Behind(FastAPI):
    """FastAPI, except that its middleware may have layers around it.

    What FastAPI puts around every middleware (errors, limits and telemetry of its own) takes 8 % of the time of an answer
    that is given again, and such an answer needs none of it.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._outermost: ASGIApp = super().__call__

    def put_behind(self, layer: Callable[..., ASGIApp], **given: Any) -> None:
        """Add a layer; the last one added is the outermost."""
        self._outermost = layer(self._outermost, **given)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or the lifespan."""
        await self._outermost(scope, receive, send)
