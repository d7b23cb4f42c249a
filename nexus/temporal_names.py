"""The names by which workflows are known from outside: ids, types, messages, and the shape of what starts them.

Belongs here: what a process needs to start or ask a workflow without importing ``workflows`` (assets and workflows
are siblings and never import each other).
Does not belong here: temporalio, and what a workflow does.
"""

from __future__ import annotations

import re
from typing import Literal

from nexus.errors import invalid

INGEST_WORKFLOW = "IngestAnalyseRecommend"
PROMOTE_WORKFLOW = "PromoteModel"
MINT_WORKFLOW = "MintMedia"
ROYALTIES_WORKFLOW = "DistributeRoyalties"
PROPOSAL_WORKFLOW = "ExecuteProposal"
ROTATE_SIGNER_WORKFLOW = "RotateSigner"
ROTATE_KEYS_WORKFLOW = "RotateKeys"

PROGRESS_QUERY = "progress"
STATUS_QUERY = "status"
CANCEL_UPDATE = "cancel"
APPROVE_UPDATE = "approve"

STEPS_MEMO = "steps"
"""Memo key under which a workflow keeps its list of steps, so that it can be read while no worker runs."""

CONTENT_CHANNEL = "nexus:content-changed"
"""Redis channel: the message is the id of the title that changed."""

MINTED_CHANNEL = "nexus:token-minted"
"""Redis channel: the message is JSON, a MintResult with its content_id."""

MINTED_STREAM = "nexus:tokens"
"""Redis stream of the same messages, one for each token; the newest ten thousand or so."""

ROTATE_SIGNER_SCHEDULE = "rotate-signer"

Action = Literal["promote", "rollback"]
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,63}")


def ingest_id(content_id: object, request_hash: str) -> str:
    """Id of the operation that takes this title in; the same request has the same id."""
    return f"ingest-{content_id}-{request_hash}"


def promote_id(model_name: str, version: str) -> str:
    """Id of the workflow that makes this version champion: one at a time for each version."""
    return f"promote-{model_name}-{check_version(version)}"


def rollback_id(model_name: str, champion_version: str) -> str:
    """Id of the workflow that takes this champion back: asking twice rolls back once."""
    return f"rollback-{model_name}-{check_version(champion_version)}"


def mint_id(content_id: object) -> str:
    """Id of the operation that mints this title: there is one for a title, for ever."""
    return f"mint-{content_id}"


def royalties_id(number: object) -> str:
    """Id of one distribution: the same number pays nobody twice."""
    return f"royalties-{number}"


def proposal_id(number: int | str) -> str:
    """Id of the operation that executes this proposal (a governor's proposal id)."""
    return f"proposal-{number}"


def rotate_signer_id(number: int = 1) -> str:
    """Id of a replacement of minting keys; asked for while it runs, it is joined."""
    return f"rotate-signer-{number}"


def rotate_keys_id(number: int = 1) -> str:
    """Id of a change of the keyring's active key; asked for while it runs, it is joined."""
    return f"rotate-keys-{number}"


def web3_queue(task_queue: str) -> str:
    """The queue of what waits for a chain or for IPFS: its slots are its own, so that nothing else waits for them."""
    return f"{task_queue}-web3"


def check_version(version: str) -> str:
    """A model version as it may stand in a workflow id."""
    if _VERSION.fullmatch(version):
        return version
    raise invalid(
        "that is not a model version",
        field="version",
        value=version,
        remedy="take one from bin/nexus models list, as in 3",
    )


def promote_payload(
    *, version: str, reason: str, require_approval: bool, action: Action = "promote", model_name: str
) -> dict[str, object]:
    """The one argument of :data:`PROMOTE_WORKFLOW`, for a caller without its message class."""
    return {
        "version": version,
        "reason": reason,
        "require_approval": require_approval,
        "action": action,
        "model_name": model_name,
    }
