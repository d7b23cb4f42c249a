"""Activities that change the keyring's active key and wrap stored secrets anew. All idempotent.

Belongs here: which files are under the keyring. Does not belong here: how they are written (each has its own module).
"""

from __future__ import annotations

import asyncio
from functools import cached_property

from temporalio import activity

from nexus.keyring import Keyring
from nexus.settings import Settings
from workflows.activities import names
from workflows.activities.edge import translated
from workflows.key_messages import KeyStep, Rewrapped


class KeyActivities:
    """Changes the ring.

    Args:
        settings: Name the home and the ring's password.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _keyring(self) -> Keyring:
        return Keyring.open(self._settings)

    @activity.defn(name=names.MAKE_KEY)
    @translated
    async def make(self, step: KeyStep) -> KeyStep:
        """A key that is not used yet: one that an earlier delivery left, or a new one."""
        return await asyncio.to_thread(self._make, step)

    def _make(self, step: KeyStep) -> KeyStep:
        waiting = [key.id for key in self._keyring.list() if key.state == "made"]
        key_id = waiting[0] if waiting else self._keyring.make()
        return step.model_copy(update={"key_id": key_id, "retiring": self._keyring.active_id()})

    @activity.defn(name=names.ACTIVATE_KEY)
    @translated
    async def activate(self, step: KeyStep) -> KeyStep:
        """Encrypt with it from now on."""
        await asyncio.to_thread(self._keyring.activate, step.key_id)
        return step

    @activity.defn(name=names.REWRAP_SECRETS)
    @translated
    async def rewrap(self, step: KeyStep) -> Rewrapped:  # noqa: ARG002 recorded in the history
        """Bring every stored secret under the active key."""
        return Rewrapped(files=await asyncio.to_thread(self._rewrap))

    def _rewrap(self) -> int:
        from nexus.manifest_key import FILE, ManifestKey

        home, count = self._settings.home, 0
        if (home / FILE).exists():
            count += ManifestKey(home / FILE, self._keyring).rewrap()
        signers = home / "keys" / "signers"
        if signers.is_dir():
            from contracts.client.signers.keystore import Keystore

            count += Keystore(signers, self._keyring).rewrap()
        return count

    @activity.defn(name=names.RETIRE_KEY)
    @translated
    async def retire(self, step: KeyStep) -> KeyStep:
        """Make sure that the old key only decrypts."""
        await asyncio.to_thread(self._keyring.retire, step.retiring)
        return step
