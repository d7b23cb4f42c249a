"""The parts of ``--with web3``: a chain and an IPFS node, embedded or a person's own.

Belongs here: the two parts, and the step that makes the contracts usable. Does not belong here: their programs
(anvil.py, kubo.py), contracts and keys (contracts.client.setup, found by name: nexus imports no other room).
"""

from __future__ import annotations

import importlib
from functools import partial
from typing import Protocol

from nexus.runtime import anvil, kubo, kubo_repo, probes
from nexus.runtime.command import Command
from nexus.runtime.fetched import Errand
from nexus.runtime.part import Part, with_marks
from nexus.runtime.state import State
from nexus.settings import Settings

CHAIN, IPFS = "chain", "ipfs"


class _Chain(Protocol):
    """What of contracts.client.chains.Chain is needed here."""

    chain_id: int
    depth: int


def chain_of(settings: Settings) -> _Chain:
    """The chain's number and depth, from the registry of chains."""
    found: _Chain = importlib.import_module("contracts.client.chains").chain_of(settings)
    return found


def parts(state: State, settings: Settings) -> tuple[Part, ...]:
    """Both parts."""
    return (_chain(state, settings), _ipfs(state, settings))


def shown(url: str) -> str:
    """An endpoint as it may be shown: keys stand in paths and queries."""
    told: str = importlib.import_module("contracts.client.rpc.endpoint").shown(url)
    return told


def _chain(state: State, settings: Settings) -> Part:
    chain = chain_of(settings)
    urls = [url.get_secret_value() for url in settings.web3.rpc_urls]
    probe = partial(probes.ask_chain, urls, chain.chain_id)
    if state.is_external(CHAIN):
        return Part(CHAIN, ", ".join(shown(url) for url in urls), probe)
    own = settings.web3.chain_program

    def fetch(errand: Errand) -> None:
        anvil.anvil_binary(own, errand=errand)

    def make() -> Command:
        data, port = state.home.root / "chain", state.ports[CHAIN]
        command = anvil.command(anvil.anvil_binary(own), data, port, chain_id=chain.chain_id, depth=chain.depth)
        return with_marks(state, CHAIN, command)

    # Asked alone: the keeper writes the chain first and then ends the node.
    return Part(CHAIN, urls[0], probe, make, stop_s=30, is_group_stopped=False, fetch=fetch)


def _ipfs(state: State, settings: Settings) -> Part:
    url = settings.web3.ipfs_url or ""
    probe = partial(probes.ask_ipfs, url)
    if state.is_external(IPFS):
        return Part(IPFS, shown(url), probe)
    home = state.home.root / IPFS
    own = settings.web3.ipfs_program

    def find(errand: Errand) -> kubo.Program:
        is_kubo_only = (home / "kubo" / "config").is_file()
        return kubo.find(own, is_kubo_only=is_kubo_only, errand=errand)

    def fetch(errand: Errand) -> None:
        find(errand)

    def make() -> Command:
        program = find(Errand())
        number = state.ports
        listening = kubo_repo.Ports(number[IPFS], number[f"{IPFS}-gateway"], number[f"{IPFS}-swarm"])
        command = kubo_repo.prepare(
            program,
            home / program.kind,
            listening,
            swarm_key=state.secrets.swarm,
            is_public=settings.web3.ipfs_is_public,
        )
        return with_marks(state, IPFS, command)

    return Part(IPFS, url, probe, make, stop_s=20, fetch=fetch)


def set_up(state: State, errand: Errand) -> str:
    """Keys, contracts and roles, as far as this platform may make them by itself; returns what there is.

    Raises:
        NexusError: It could not be done.
    """
    run = importlib.import_module("contracts.client.setup").run
    found: str = run(state.settings(), errand, is_embedded=not state.is_external(CHAIN))
    return found
