"""The activity with which the platform vouches for a token: it signs the manifest and keeps the signature.

Does not belong here: the key (nexus.manifest_key), what a manifest says (nexus.token_metadata).
"""

from __future__ import annotations

from temporalio import activity

from nexus.db.mints import sign_mint
from nexus.db.pool import acquire
from workflows.activities import names
from workflows.activities.edge import translated
from workflows.activities.mint import manifest_of
from workflows.activities.web3 import Web3
from workflows.web3_messages import PlanTask, Signature


class ManifestActivities:
    """Signs manifests."""

    def __init__(self, web3: Web3) -> None:
        self._web3 = web3

    @activity.defn(name=names.SIGN_MANIFEST)
    @translated
    async def sign(self, task: PlanTask) -> Signature:
        """Sign; Ed25519 gives the same signature every time."""
        from nexus.manifest_key import FILE, ManifestKey

        key = ManifestKey(self._web3.settings.home / FILE, self._web3.keyring)
        signature = key.sign(manifest_of(task.plan))
        async with acquire(self._web3.pool) as connection:
            await sign_mint(connection, task.plan.call.key, signature, key.public_key)
        return Signature(algorithm="ed25519", public_key=key.public_key, signature=signature)
