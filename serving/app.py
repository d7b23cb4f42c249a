"""The HTTP door: ``uvicorn serving.app:create_app --factory``.

Belongs here: putting the app together. Does not belong here: anything else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.responses import FileResponse

from nexus import logs, telemetry
from nexus.settings import Settings, load
from serving import problems
from serving.behind import Behind
from serving.content.router import router as content_router
from serving.events.router import router as events_router
from serving.governance.router import router as governance_router
from serving.health.router import router as health_router
from serving.history.router import router as history_router
from serving.keys.router import router as keys_router
from serving.limits import BodyLimit
from serving.metrics import Metrics, Timed
from serving.models.router import router as models_router
from serving.operations.router import router as operations_router
from serving.recommendations.fast import Answers, FastAnswers, Shortcut
from serving.recommendations.router import router as recommendations_router
from serving.reference.openapi import describe
from serving.reference.router import router as reference_router
from serving.responses import SecurityHeaders
from serving.state import State
from serving.tokens.router import router as tokens_router
from serving.tracing import Traced
from serving.viewers.router import router as viewers_router
from serving.wallets.router import router as wallets_router

WEB = Path(__file__).parent / "web"
ROUTERS = (
    recommendations_router,
    history_router,
    viewers_router,
    wallets_router,
    events_router,
    tokens_router,  # its paths under /v1/content/ are longer than the content's own
    content_router,
    operations_router,
    keys_router,
    governance_router,
    models_router,
    health_router,
    reference_router,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app; it opens nothing before its lifespan starts."""
    used = settings if settings is not None else load()
    if settings is None:
        logs.configure(part="api", level=used.log_level)
        telemetry.configure(used, "api")
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state = State(used, metrics)
        app.state.nexus = state
        await state.start()
        try:
            yield
        finally:
            await state.stop()

    app = Behind(
        title="NEXUS",
        version="1",
        description="Recommendations with reasons, from your own media server.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, max_body_bytes=used.api.max_body_bytes)
    app.add_middleware(SecurityHeaders)
    answers, route = Answers(app.state, metrics), recommendations_router.routes[0]
    app.put_behind(FastAnswers, answers=answers, route=route)
    app.put_behind(Traced)
    app.put_behind(Timed, metrics=metrics)
    app.put_behind(Shortcut, answers=answers, route=getattr(route, "path", ""), metrics=metrics)
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/web", StaticFiles(directory=WEB, check_dir=False), name="web")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(WEB / "index.html", headers={"cache-control": "no-cache"})

    describe(app)
    return app
