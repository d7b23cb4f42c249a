"""The keys of an installation: its own keystore, or the service that settings name.

Belongs here: that choice. Does not belong here: keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.client.signers.keystore import FOLDER, Keystore
from contracts.client.signers.model import Signers
from contracts.client.signers.remote import RemoteSigner
from nexus.errors import invalid

if TYPE_CHECKING:
    from nexus.settings import Settings


def open_signers(settings: Settings) -> Signers:
    """Where the keys are.

    Raises:
        NexusError: category ``invalid`` for a service without a token or a keyring without a password; ``forbidden``
            for a wrong password.
    """
    area = settings.web3
    if area.signer_url is None:
        from nexus.keyring import Keyring

        return Keystore(settings.home / FOLDER, Keyring.open(settings))
    if area.signer_token is None:
        raise invalid(
            "the signing service needs a token",
            field="web3.signer_token",
            value=None,
            remedy="set NEXUS_WEB3__SIGNER_TOKEN",
        )
    return RemoteSigner(area.signer_url, area.signer_token)
