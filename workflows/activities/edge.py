"""What every activity shares: the translation of errors at its edge, and a heartbeat while something blocks.

Belongs here: the edge to Temporal. Does not belong here: work.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

import psycopg
import redis.exceptions
from pydantic import ValidationError
from temporalio import activity

from nexus import logs
from nexus.errors import NexusError, invalid, unavailable
from workflows.errors import to_application_error

HEARTBEAT_S = 1.0
_LOG = logs.get(__name__)

P = ParamSpec("P")
R = TypeVar("R")


def translated(call: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """An activity whose known failures say whether trying again can help.

    What is not known here (a defect) goes up as it is, and is tried again until its policy ends.
    """

    @functools.wraps(call)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await call(*args, **kwargs)
        except NexusError as error:
            info = activity.info()
            _LOG.warning("activity_refused", activity=info.activity_type, attempt=info.attempt, **error.as_dict())
            raise to_application_error(error) from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"])) or "request"
            problem = invalid(first["msg"], field=field, value=None, remedy="mend the field and send it again")
            raise to_application_error(problem) from error
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            problem = invalid(
                "the database refuses this value",
                field=error.diag.column_name or error.diag.constraint_name or "request",
                value=None,
                remedy="mend the field and send it again",
            )
            raise to_application_error(problem) from error
        except psycopg.OperationalError as error:
            raise to_application_error(
                unavailable("Postgres does not answer", remedy="see bin/nexus status")
            ) from error
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
            raise to_application_error(unavailable("Redis does not answer", remedy="see bin/nexus status")) from error

    return wrapper


@asynccontextmanager
async def heartbeating(stage: str) -> AsyncIterator[None]:
    """Tell the engine once a second that this process lives and what it is at.

    Meant for one blocking call that can't report progress itself; its start-to-close time-out is the backstop.
    """

    async def beat() -> None:
        while True:
            activity.heartbeat(stage)
            await asyncio.sleep(HEARTBEAT_S)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
