"""The repository of the embedded IPFS node: made once, configured at each start, ready after a ``kill -9``.

Belongs here: what the node is told in its configuration, the lock that a killed one left, its command line.
Does not belong here: finding the program (kubo.py).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexus.runtime.command import Command
from nexus.runtime.kubo import Kind, Program

PROFILE = "unixfs-v1-2025"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the node listens, on loopback."""

    api: int
    gateway: int
    swarm: int


def prepare(program: Program, repo: Path, ports: Ports, *, swarm_key: str, is_public: bool) -> Command:
    """Make the repository if there is none, write its configuration, clear away a killed node's locks.

    Args:
        program: The node's program.
        repo: Its folder.
        ports: Where it listens.
        swarm_key: 64 hexadecimal digits; only nodes with the same key can connect. Not used on the public network.
        is_public: Join the public network.

    Returns:
        The daemon's command line.

    Raises:
        NexusError: category ``unavailable``, when the program fails.
    """
    repo.mkdir(mode=0o700, parents=True, exist_ok=True)
    env = {"IPFS_PATH": str(repo), "HOME": str(repo), "IPFS_TELEMETRY": "off", "LIBP2P_TCP_MUX": "false"}
    if not is_public:
        env["LIBP2P_FORCE_PNET"] = "1"
    if not (repo / "config").is_file():
        init = ("init", "--profile=test") if program.kind == "kubo" else ("init", "--empty-repo")
        Command((*program.words, *init), env=env, cwd=str(repo)).run()
        if program.kind == "kubo":
            Command((*program.words, "config", "profile", "apply", PROFILE), env=env, cwd=str(repo)).run()
    config = json.loads((repo / "config").read_text())
    changes = _kubo_config(ports, is_public=is_public) if program.kind == "kubo" else _js_config(ports)
    fresh = repo / ".config.fresh"
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(_merged(config, changes), indent=2))
    fresh.replace(repo / "config")
    key = repo / "swarm.key"
    if is_public:
        key.unlink(missing_ok=True)
    else:
        key.touch(mode=0o600)
        key.write_text(f"/key/swarm/psk/1.0.0/\n/base16/\n{swarm_key}\n")
    daemon = ("daemon", "--migrate=true") if program.kind == "kubo" else ("daemon",)
    return Command((*_unlocked(program.kind), *program.words, *daemon), env=env, cwd=str(repo))


def _unlocked(kind: Kind) -> tuple[str, ...]:
    """Words before the program's. A killed js-ipfs leaves a lock that nobody holds, and the supervisor starts it again.

    Kubo's own lock is the kernel's: it goes with its holder.
    """
    if kind == "kubo":
        return ()
    return ("/bin/sh", "-c", 'rm -rf "$IPFS_PATH/repo.lock" "$IPFS_PATH/api" && exec "$0" "$@"')


def _kubo_config(ports: Ports, *, is_public: bool) -> dict[str, Any]:
    """Everything needed for zero outside traffic (measured: only 127.0.0.1 sockets); on the public network, its defaults."""
    addresses = {
        "API": f"/ip4/127.0.0.1/tcp/{ports.api}",
        "Gateway": f"/ip4/127.0.0.1/tcp/{ports.gateway}",
        "Swarm": [f"/ip4/{'0.0.0.0' if is_public else '127.0.0.1'}/tcp/{ports.swarm}"],  # noqa: S104 - asked for
    }
    both: dict[str, Any] = {
        "Addresses": addresses,
        "Gateway": {"NoFetch": not is_public},
        "Plugins": {"Plugins": {"telemetry": {"Disabled": True, "Config": {"Mode": "off"}}}},
        "Datastore": {"StorageMax": "20GB"},
    }
    if is_public:
        return both | {
            "Routing": {"Type": "auto"},
            "AutoConf": {"Enabled": True},
            "Bootstrap": ["auto"],
            "DNS": {"Resolvers": {".": "auto"}},
            "Ipns": {"DelegatedPublishers": ["auto"]},
        }
    return both | {
        "Routing": {"Type": "none", "DelegatedRouters": []},
        "Discovery": {"MDNS": {"Enabled": False}},
        "Swarm": {
            "DisableNatPortMap": True,
            "RelayClient": {"Enabled": False},
            "RelayService": {"Enabled": False},
            "EnableHolePunching": False,
        },
        "AutoNAT": {"ServiceMode": "disabled"},
        "AutoTLS": {"Enabled": False, "AutoWSS": False},
        "AutoConf": {"Enabled": False},
        "Bootstrap": [],
        "DNS": {"Resolvers": {}},
        "Ipns": {"DelegatedPublishers": []},
        "HTTPRetrieval": {"Enabled": False},
    }


def _js_config(ports: Ports) -> dict[str, Any]:
    """js-ipfs on loopback; its gRPC listener wants a port of its own, for which any free one will do."""
    return {
        "Addresses": {
            "API": f"/ip4/127.0.0.1/tcp/{ports.api}",
            "Gateway": f"/ip4/127.0.0.1/tcp/{ports.gateway}",
            "Swarm": [f"/ip4/127.0.0.1/tcp/{ports.swarm}"],
            "RPC": "/ip4/127.0.0.1/tcp/0",
            "Delegates": [],
        },
        "Bootstrap": [],
        "Discovery": {"MDNS": {"Enabled": False}, "webRTCStar": {"Enabled": False}},
        "Routing": {"Type": "none"},
    }


# What one of the two modes sets and the other must not inherit.
_WHOLE = frozenset({"Bootstrap", "Resolvers", "DelegatedPublishers", "DelegatedRouters"})


def _merged(config: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The configuration with our values; what a person changed beside them stays."""
    merged = dict(config)
    for name, value in changes.items():
        before = merged.get(name)
        if isinstance(value, dict) and isinstance(before, dict) and name not in _WHOLE:
            merged[name] = _merged(before, value)
        else:
            merged[name] = value
    return merged


def new_swarm_key() -> str:
    """A key that only nodes of one installation share."""
    return secrets.token_hex(32)
