"""Every error as problem details (RFC 9457) that name field, value and remedy.

Belongs here: the shape, the exception handlers, what OpenAPI says about errors.
Does not belong here: deciding what is an error (services raise ``NexusError``).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from nexus import logs, telemetry
from nexus.errors import Category, NexusError
from serving.responses import SECURITY_HEADERS
from serving.tracing import TRACE_ID

MEDIA_TYPE = "application/problem+json"
_LOG = logs.get(__name__)
_REMEDIES = {
    404: "look up the routes in /docs",
    405: "use one of the methods in the Allow header; /docs lists them",
    413: "send less at once, as several requests",
    429: "wait as long as Retry-After says",
}


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field(description="urn:nexus:problem:<category>")
    title: str
    status: int
    detail: str = Field(description="one sentence for a person")
    field: str | None = Field(None, description="what in the request is at fault")
    value: str | None = Field(None, description="its value as it was understood, shortened")
    remedy: str | None = Field(None, description="what to do about it")
    trace_id: str | None = Field(None, description="under which the logs and bin/nexus trace tell more")


def problem(
    status: int,
    detail: str,
    *,
    kind: str,
    field: str | None = None,
    value: object = None,
    remedy: str | None = None,
    trace_id: str | None = None,
) -> Response:
    """One problem as a response."""
    body = {
        "type": f"urn:nexus:problem:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "field": field,
        "value": None if value is None else printable(value),
        "remedy": remedy,
        "trace_id": trace_id or telemetry.trace_id(),
    }
    headers = {"retry-after": "2"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return Response(orjson.dumps(body), status, headers=headers, media_type=MEDIA_TYPE)


def printable(value: object) -> str:
    """A value of a request as short text that is valid UTF-8."""
    return str(value)[:200].encode("utf-8", "replace").decode()


def from_error(error: NexusError) -> Response:
    """The response for a domain error."""
    return problem(
        error.status,
        printable(error.message),
        kind=str(error.category),
        field=error.field,
        value=error.value,
        remedy=error.remedy,
    )


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI declares for a route that may answer these problems."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": _EXAMPLES[status]}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(NexusError, _on_nexus_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_bug)


async def _on_nexus_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, NexusError)  # noqa: S101 - the registration says so
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _LOG.warning("request_failed", path=request.url.path, **error.as_dict())
    return from_error(error)


async def _on_validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the registration says so
    first = error.errors()[0]
    where = [str(part) for part in first["loc"]]
    field = ".".join(where[1:] if where[0] in {"query", "path", "body", "header"} else where) or where[0]
    more = len(error.errors()) - 1
    detail = f"{field}: {first['msg'][:1].lower()}{first['msg'][1:]}" + (f" (and {more} more)" if more else "")
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        printable(detail),
        kind=str(Category.INVALID),
        field=printable(field),
        value=first.get("input"),
        remedy=_remedy(first),
    )


def _remedy(first: dict[str, Any]) -> str:
    """What to do about one finding of pydantic."""
    context = {key: value for key, value in first.get("ctx", {}).items() if isinstance(value, int | float | str)}
    listed = ", ".join(f"{key} {value}" for key, value in sorted(context.items()))
    if first["type"] == "extra_forbidden":
        return "leave it out"
    if first["type"] == "missing":
        return "send it"
    return f"send a value within the limits ({listed})" if listed else "see /docs for what is allowed here"


def http_problem(error: HTTPException, path: str | None = None) -> Response:
    """The response for what HTTP itself refuses: path, method, size."""
    response = problem(
        error.status_code,
        _ROUTE_DETAIL.get(error.status_code, str(error.detail)),
        kind=HTTPStatus(error.status_code).phrase.lower().replace(" ", "_"),
        field={404: "path", 405: "method", 413: "body"}.get(error.status_code),
        value=path if error.status_code == HTTPStatus.NOT_FOUND else None,
        remedy=_REMEDIES.get(error.status_code),
    )
    response.headers.update(error.headers or {})
    return response


_ROUTE_DETAIL = {404: "there is nothing at this path", 405: "this path does not take this method"}


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - the registration says so
    if error.status_code == HTTPStatus.BAD_REQUEST:  # FastAPI's word for bytes that are no text
        return problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "the body is not JSON in UTF-8",
            kind=str(Category.INVALID),
            field="body",
            remedy="send JSON, encoded as UTF-8",
        )
    return http_problem(error, request.url.path)


async def _on_bug(request: Request, error: Exception) -> Response:
    # This one is answered outside FastAPI's middleware: the headers are not set.
    trace_id = request.scope.get(TRACE_ID)
    _LOG.error("request_crashed", path=request.url.path, exc_info=error, trace_id=trace_id)
    response = problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "something went wrong on our side; it is in the log",
        kind=str(Category.INTERNAL),
        remedy="look at bin/nexus logs api",
        trace_id=trace_id,
    )
    response.headers.update(SECURITY_HEADERS)
    return response


def _example(status: int, kind: str, detail: str, **more: str) -> dict[str, Any]:
    return {
        "type": f"urn:nexus:problem:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "field": None,
        "value": None,
        "remedy": None,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    } | more


_EXAMPLES = {
    403: _example(
        403,
        "forbidden",
        "only the owner of a wallet unlinks it",
        field="address",
        value="0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        remedy="sign in with this wallet first",
    ),
    404: _example(
        404, "not_found", "no such viewer", field="user", value="movielens:9999999", remedy="GET /v1/users lists them"
    ),
    405: _example(405, "method_not_allowed", "this path does not take this method", field="method"),
    409: _example(409, "conflict", "the operation has ended", field="operation_id", remedy="GET it to see how"),
    413: _example(413, "content_too_large", "the body is larger than 2000000 bytes", field="body", remedy="send less"),
    422: _example(
        422,
        "invalid",
        "limit: input should be less than or equal to 100",
        field="limit",
        value="1000000000",
        remedy="send a value within the limits (le 100)",
    ),
    429: _example(
        429, "too_many_requests", "more than 10 of these a minute", remedy="wait as long as Retry-After says"
    ),
    503: _example(503, "unavailable", "redis does not answer", remedy="send the same events again in a moment"),
}
