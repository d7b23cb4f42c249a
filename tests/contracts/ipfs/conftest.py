"""Nodes for the tests of this folder."""

from tests.contracts.ipfs.nodes import kubo, second_kubo, swarm_key

__all__ = ["kubo", "second_kubo", "swarm_key"]
