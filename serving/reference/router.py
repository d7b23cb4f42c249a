"""``GET /docs``: the API's description as a page of our own, without any other origin."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

router = APIRouter(include_in_schema=False)
FOLDER = Path(__file__).parent
FILES = {"reference.js": "text/javascript", "reference.css": "text/css"}


@router.get("/docs")
async def page() -> FileResponse:
    """The page."""
    return FileResponse(FOLDER / "reference.html", media_type="text/html")


@router.get("/docs/{name}")
async def file(name: str) -> FileResponse:
    """What the page loads."""
    if name not in FILES:
        raise HTTPException(404)
    return FileResponse(FOLDER / name, media_type=FILES[name])
