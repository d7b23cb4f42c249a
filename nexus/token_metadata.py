"""What a token says about its title: canonical JSON, so that the same title always gives the same bytes and CID.

Keys are sorted, there is no space, the text is UTF-8 without escapes. ``name`` and ``description`` are what wallets
read (ERC-721); the rest is the title as this house knows it. One raw block of IPFS holds it, hence the limit.
Does not belong here: CIDs and token ids (contracts.client.ipfs.cids), where the bytes are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nexus.errors import invalid

if TYPE_CHECKING:
    from nexus.db.content import ContentRecord

LIMIT_BYTES = 1_048_576
"""A raw block that every node takes and hands on."""


def canonical(value: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def of_title(title: ContentRecord, *, limit_bytes: int = LIMIT_BYTES) -> bytes:
    """The metadata of a title's token.

    Raises:
        NexusError: category ``invalid`` when it is over the limit.
    """
    said: dict[str, Any] = {
        "name": title.title,
        "id": str(title.content_id),
        "title": title.title,
        "type": title.content_type,
        "genres": list(title.genres),
    }
    if title.year is not None:
        said["year"] = title.year
    if title.overview:
        said |= {"overview": title.overview, "description": title.overview}
    found = canonical(said)
    if len(found) > limit_bytes:
        raise invalid(
            f"the metadata is over the limit of {limit_bytes} bytes",
            field="overview",
            value=f"{len(found)} bytes",
            remedy="shorten the title's overview; a token's metadata has to fit one block",
        )
    return found


def manifest(*, content_id: object, cid: str, token_id: int, chain_id: int, contract: str, to: str) -> bytes:
    """What the platform signs: which token stands for which content, where, and for whom. Canonical JSON too."""
    return canonical(
        {
            "content": str(content_id),
            "cid": cid,
            "token": str(token_id),
            "chain": chain_id,
            "contract": contract.lower(),
            "to": to.lower(),
        }
    )
