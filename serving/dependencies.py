"""What routes ask for: the process's state, ids, flags.

Belongs here: the aliases that routes annotate their arguments with; all of them coroutines, since FastAPI gives a plain function
a thread for every request. Does not belong here: logic.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Request

from nexus import ids
from nexus.errors import invalid
from serving.state import State

_TRUE = frozenset({"", "1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_ID = "a UUID, or issuer:value as in movielens:1"
Identifier = UUID | ids.Reference


async def _state(request: Request) -> State:
    state: State = request.app.state.nexus
    return state


async def _user(
    user_id: Annotated[
        str, Path(description=_ID, examples=["movielens:1"], json_schema_extra={"pattern": ids.PATTERN})
    ],
) -> Identifier:
    return ids.parse(user_id, field="user")


async def _content(
    content_id: Annotated[
        str, Path(description=_ID, examples=["movielens:1"], json_schema_extra={"pattern": ids.PATTERN})
    ],
) -> Identifier:
    return ids.parse(content_id, field="content")


async def _explain(
    explain: Annotated[
        str | None, Query(description="add every number behind each reason; as a bare flag, or true/false")
    ] = None,
) -> bool:
    if explain is None or explain.lower() in _FALSE:
        return False
    if explain.lower() in _TRUE:
        return True
    raise invalid("explain is not a flag", field="explain", value=explain, remedy="write explain, or explain=true")


StateOf = Annotated[State, Depends(_state)]
UserId = Annotated[Identifier, Depends(_user)]
ContentId = Annotated[Identifier, Depends(_content)]
Explain = Annotated[bool, Depends(_explain)]
