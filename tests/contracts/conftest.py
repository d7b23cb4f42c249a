"""Fixtures of this area."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contracts.devnode import DevNode
from tests.contracts.house import House
from tests.contracts.nodes import AsyncNode, anvil, chain, rpc

__all__ = ["AsyncNode", "anvil", "chain", "rpc"]


@pytest.fixture(scope="session")
def deployed(anvil: DevNode) -> House:
    """Our contracts, deployed; what is done to them stays, so undo it with ``node.scratch``."""
    return House(anvil)


@pytest.fixture
def house(deployed: House) -> Iterator[House]:
    """Our contracts, deployed; what a test does to them is forgotten."""
    with deployed.node.scratch():
        yield deployed
