"""What anybody may know about the keys of an installation, for ``keys list`` and for the API.

Belongs here: the reading. Does not belong here: secrets of any kind.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from nexus.db.pool import acquire, async_pool
from nexus.keyring import Keyring
from nexus.settings import Settings

_SIGNERS = """
select s.chain_id, s.address, s.role, s.state, s.needs_wei::text as needs_wei, s.created_at,
  count(t.id)::integer as in_flight
from nexus_web3.signers s left join nexus_web3.transactions t on t.chain_id = s.chain_id and t.signer = s.address
  and t.state in ('reserved', 'signed', 'sent', 'mined')
group by s.chain_id, s.address order by s.chain_id, s.role, s.created_at, s.address
"""


async def shown(settings: Settings) -> dict[str, Any]:
    """``keyring`` (id, state, made_at), ``signers`` (address, role, state, in_flight, needs_wei), ``manifest_key``.

    Raises:
        NexusError: ``invalid`` or ``forbidden`` for a ring that cannot be opened.
    """
    from nexus.manifest_key import FILE, ManifestKey

    ring = Keyring.open(settings)
    path = settings.home / FILE
    return {
        "keyring": [{"id": key.id, "state": key.state, "made_at": key.made_at.isoformat()} for key in ring.list()],
        "signers": await _signers(settings) if settings.web3.enabled else [],
        "manifest_key": ManifestKey(path, ring).public_key if path.exists() else None,
    }


async def signers(connection: psycopg.AsyncConnection) -> list[dict[str, Any]]:
    """Every key that signs transactions, with what it has under way and what it lacks."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SIGNERS)
        return [row | {"created_at": row["created_at"].isoformat()} for row in await cursor.fetchall()]


async def _signers(settings: Settings) -> list[dict[str, Any]]:
    async with async_pool(settings, "reader", max_size=1) as pool, acquire(pool) as connection:
        return await signers(connection)
