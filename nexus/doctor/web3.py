"""The chain and the IPFS node: programs, endpoints, contracts, coins, what the embedded chain keeps on disk.

Belongs here: looks at both that need no key. Does not belong here: whether the parts run (parts.py says that of all).
Nothing is said where nobody wants these parts.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from nexus.doctor.finding import Finding
from nexus.runtime import anvil, kubo, processes, web3
from nexus.runtime.fetched import TOOLS
from nexus.runtime.home import Home
from nexus.runtime.probes import NotReadyError, ask_chain, http
from nexus.runtime.state import State, choices, is_external, known
from nexus.settings import Settings

MEDIA = "NexusMedia"
_IN_USE = "select address from nexus_web3.contracts where chain_id = %s and name = %s"
_POOR = "select address, needs_wei from nexus_web3.signers where chain_id = %s and needs_wei is not null and state <> 'retired'"
_STUCK = (
    "select count(*) from nexus_web3.transactions where chain_id = %s and created_at < now() - interval '15 minutes'"
    " and state in ('reserved', 'signed', 'sent', 'mined')"
)


def programs(home: Home, user: Settings) -> Iterator[Finding]:
    """Whether the embedded parts' programs are there, or can be had."""
    if "web3" not in choices(home, user):
        return
    if not is_external(user, web3.CHAIN):
        yield _program("chain program", user.web3.chain_program, "anvil", TOOLS / "anvil" / "bin" / "anvil", ("npm",))
    if not is_external(user, web3.IPFS):
        yield _program("ipfs program", user.web3.ipfs_program, "ipfs", TOOLS / "kubo" / "ipfs", ("go", "npm"))


def _program(name: str, own: Path | None, command: str, fetched: Path, ways: tuple[str, ...]) -> Finding:
    remedy = anvil.REMEDY if command == "anvil" else kubo.REMEDY
    if own is not None:
        return Finding(name, str(own), None if own.is_file() else f"there is no such file; {remedy}")
    found = shutil.which(command) or (str(fetched) if fetched.is_file() else None)
    if found is not None:
        return Finding(name, found)
    way = next((way for way in ways if shutil.which(way)), None)
    if way is not None:
        return Finding(name, f"not here yet; bin/nexus up gets it with {way}")
    return Finding(name, f"not here, and neither {' nor '.join(ways)} is on the PATH", remedy)


def kept_chain(home: Home, user: Settings) -> Iterator[Finding]:
    """The embedded chain's file, unless the chain runs and owns it."""
    path = home.root / web3.CHAIN / anvil.STATE
    if not path.is_file() or is_external(user, web3.CHAIN) or web3.CHAIN in processes.ours(home.root):
        return
    try:
        is_whole = "blocks" in json.loads(path.read_bytes())
    except (ValueError, TypeError):
        is_whole = False
    if not is_whole:
        yield Finding(
            "chain file",
            f"{path.name} is damaged: not the state of a chain",
            "run bin/nexus doctor --fix, which moves it aside, then bin/nexus up, which sends everything to a new chain again",
            mend=partial(_set_aside, path),
        )


def _set_aside(path: Path) -> str:
    place = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    path.rename(place)
    return f"{path.name}: moved to {place.name}; bin/nexus up makes a new chain and sends everything to it again"


def chain(home: Home, user: Settings) -> Iterator[Finding]:
    """Each endpoint, the contract, the signers' coins; nothing while no endpoint answers (the part says so)."""
    state = known(home, user)
    if state is None or "web3" not in state.choices:
        return
    settings = state.settings()
    chain_id = web3.chain_of(settings).chain_id
    answering = []
    urls = [url.get_secret_value() for url in settings.web3.rpc_urls]
    for url in urls:
        try:
            ask_chain([url], chain_id)
            answering.append(url)
        except NotReadyError as error:
            if len(urls) > 1:
                yield Finding(
                    f"endpoint {web3.shown(url)}", str(error), "mend or remove it in web3.rpc_urls", is_warning=True
                )
    if answering:
        yield from _on_chain(state, settings, answering[0], chain_id)


def _on_chain(state: State, settings: Settings, url: str, chain_id: int) -> Iterator[Finding]:
    try:
        media, poor, stuck = _written(settings, chain_id)
    except OSError:
        return  # Postgres: the part itself says so
    media = settings.web3.media_contract or media
    deploy = "bin/nexus contracts deploy" if state.is_external(web3.CHAIN) else "bin/nexus up"
    if media is None:
        yield Finding("contracts", "nothing is deployed yet", f"run {deploy}", is_warning=True)
    else:
        has_code = len(str(_asked(url, "eth_getCode", media, "latest"))) > len("0x")
        remedy = None if has_code else f"was the chain wiped? run {deploy}"
        yield Finding("contracts", f"{MEDIA} {media}" + ("" if has_code else " is not on the chain"), remedy)
    for address, wei in poor:
        yield Finding(f"signer {address}", f"lacks {wei} wei", f"send it that much or more; {stuck} transactions wait")
    if stuck and not poor:
        said = f"{stuck} unfinished for more than 15 minutes"
        yield Finding("transactions", said, "see bin/nexus logs worker; they go on by themselves", is_warning=True)


def _written(settings: Settings, chain_id: int) -> tuple[str | None, list[tuple[str, int]], int]:
    """The contract in use, lanes that lack coins, how many transactions are old."""
    import psycopg

    try:
        with psycopg.connect(settings.postgres.owner_url(driver=""), connect_timeout=5) as connection:
            media = connection.execute(_IN_USE, (chain_id, MEDIA)).fetchone()
            poor = connection.execute(_POOR, (chain_id,)).fetchall()
            stuck = connection.execute(_STUCK, (chain_id,)).fetchone()
    except psycopg.Error as error:
        raise OSError(str(error)) from None
    return (
        str(media[0]) if media else None,
        [(str(address), int(wei)) for address, wei in poor],
        int(stuck[0]) if stuck else 0,
    )


def _asked(url: str, method: str, *params: Any) -> Any:
    question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    try:
        return (http(url, body=question) or {}).get("result") or ""
    except NotReadyError:
        return ""


def ipfs(home: Home, user: Settings) -> Iterator[Finding]:
    """What the node holds, and whether it keeps to itself; nothing while it does not answer."""
    state = known(home, user)
    if state is None or "web3" not in state.choices:
        return
    settings = state.settings()
    base = f"{(settings.web3.ipfs_url or '').rstrip('/')}/api/v0"
    try:
        held = http(f"{base}/repo/stat?size-only=true", body={}) or {}
        peers = (http(f"{base}/swarm/peers", body={}) or {}).get("Peers") or []
    except NotReadyError:
        return
    yield Finding("ipfs store", f"{int(held.get('RepoSize', 0)) / 1e6:,.1f} MB, {len(peers)} peers")


def wrong_choice(home: Home, user: Settings) -> Iterator[Finding]:
    """Settings of a chain that nobody asked to use."""
    is_configured = bool(user.web3.rpc_urls or user.web3.ipfs_url or user.web3.media_contract)
    if is_configured and "web3" not in choices(home, user):
        yield Finding(
            "web3",
            "has settings, and is off",
            "run bin/nexus up --with web3, or set NEXUS_WEB3__ENABLED=true",
            is_warning=True,
        )
