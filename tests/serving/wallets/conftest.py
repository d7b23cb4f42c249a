"""A world with web3 on, and accounts that sign."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from pydantic import SecretStr

HOST = "nexus"


class Signer:
    """An account of a test's own."""

    def __init__(self) -> None:
        self.account = Account.create()
        self.address = self.account.address

    def sign(self, message: str) -> str:
        return "0x" + self.account.sign_message(encode_defunct(text=message)).signature.hex()


@pytest.fixture
def signer() -> Signer:
    return Signer()


@pytest.fixture
def other() -> Signer:
    return Signer()


@pytest.fixture
def web3_world(world: Any) -> Any:
    """The small world, with a chain that nobody asks."""
    web3 = world.settings.web3.model_copy(
        update={"enabled": True, "domain": HOST, "rpc_urls": (SecretStr("http://127.0.0.1:1"),)}
    )
    world.settings = world.settings.model_copy(update={"web3": web3})
    return world
