"""The embedded IPFS node: Kubo where it can be had, else js-ipfs; closed to the public network unless a person opens it.

Belongs here: finding, building or fetching the program. Does not belong here: its repository and configuration
(kubo_repo.py), what is added and pinned (contracts.client.ipfs).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nexus.errors import NexusError, invalid, unavailable
from nexus.runtime.fetched import QUIET, TOOLS, Errand, fetched, npm_ci, run
from nexus.settings import ROOT

LEAST_VERSION = (0, 40)
LEAST_GO = (1, 26)
_KUBO, _JS = ROOT / "deploy" / "kubo", ROOT / "deploy" / "js-ipfs"
_PACKAGE = "github.com/ipfs/kubo/cmd/ipfs"
_BUILD_S = 3600.0
REMEDY = (
    "put Kubo's ipfs (0.40 or newer) on the PATH or name it in web3.ipfs_program; or install Go 1.26, with which it is "
    "built, or Node.js with npm for js-ipfs; or give a node of your own: NEXUS_WEB3__IPFS_URL"
)
Kind = Literal["kubo", "js"]


@dataclass(frozen=True, slots=True)
class Program:
    """Words that run the node's program, and which of the two it is."""

    words: tuple[str, ...]
    kind: Kind


def _version(program: str) -> tuple[int, int]:
    try:
        done = subprocess.run([program, "version"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    match = re.match(r"ipfs version (\d+)\.(\d+)", done.stdout)  # js-ipfs calls itself js-ipfs
    return (int(match[1]), int(match[2])) if match else (0, 0)


def find(
    own: Path | None = None, *, is_kubo_only: bool = False, errand: Errand = QUIET, tools: Path = TOOLS
) -> Program:
    """A person's own Kubo, that of the PATH, one built with Go, or js-ipfs from npm; the last two once.

    Args:
        own: What a person set (``web3.ipfs_program``).
        is_kubo_only: There is a repository of Kubo's already, which js-ipfs cannot read.
        errand: Who waits for it.
        tools: Where fetched programs are.

    Raises:
        NexusError: ``invalid`` for a program of one's own that is none, ``unavailable`` when none can be had; it says
            why, for each way that was tried.
    """
    if own is not None:
        if _version(str(own)) < LEAST_VERSION:
            raise invalid(
                "this is no Kubo of version 0.40 or newer", field="web3.ipfs_program", value=own, remedy=REMEDY
            )
        return Program((str(own),), "kubo")
    found = shutil.which("ipfs")
    if found and _version(found) >= LEAST_VERSION:
        return Program((found,), "kubo")
    causes = []
    for way in (_built,) if is_kubo_only else (_built, _js):
        if errand.is_cancelled():
            break
        try:
            return way(errand, tools)
        except NexusError as error:
            causes.append(error.message)
    raise unavailable(f"an IPFS node cannot be had: {'; '.join(causes)}", remedy=REMEDY)


def kubo_binary(*, errand: Errand = QUIET, tools: Path = TOOLS) -> str:
    """Kubo itself, for those who need it and nothing else: of the PATH, else built.

    Raises:
        NexusError: category ``unavailable``.
    """
    found = shutil.which("ipfs")
    return found if found and _version(found) >= LEAST_VERSION else _built(errand, tools).words[0]


def go() -> str:
    """The Go compiler, new enough; an older one may fetch a newer toolchain only where its owner allows that.

    Raises:
        NexusError: category ``unavailable``.
    """
    found = shutil.which("go")
    if found is None:
        raise unavailable("there is no go on the PATH", remedy=REMEDY)
    try:
        done = subprocess.run(
            [found, "env", "GOVERSION", "GOTOOLCHAIN"], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        raise unavailable("go cannot be run", remedy=REMEDY) from None
    match = re.match(r"go(\d+)\.(\d+)", done.stdout)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    if version < LEAST_GO and "local" in done.stdout.split()[1:]:
        raise unavailable(f"go is {version[0]}.{version[1]}, and {LEAST_GO[0]}.{LEAST_GO[1]} is needed", remedy=REMEDY)
    return found


def _built(errand: Errand, tools: Path) -> Program:
    def make(folder: Path) -> None:
        compiler = go()
        errand.say("ipfs: Kubo is built with Go, once; this takes 3 to 10 minutes")
        flags = f"{os.environ.get('GOFLAGS', '')} -buildvcs=false -mod=readonly".strip()
        words = [compiler, "build", "-trimpath", "-ldflags=-s -w", "-o", str(folder / "ipfs"), _PACKAGE]
        run(
            words,
            _KUBO,
            remedy=REMEDY,
            timeout_s=_BUILD_S,
            env={"GOFLAGS": flags, "CGO_ENABLED": "0", "GOWORK": "off"},
            errand=errand,
        )
        errand.say("ipfs: Kubo is built")

    recipe = (_KUBO / "go.mod", _KUBO / "go.sum")
    return Program((str(fetched("kubo", "ipfs", recipe, make, errand=errand, tools=tools)),), "kubo")


def _js(errand: Errand, tools: Path) -> Program:
    def make(folder: Path) -> None:
        errand.say("ipfs: js-ipfs is fetched with npm, once, because Kubo cannot be had")
        npm_ci(_JS, folder, remedy=REMEDY, errand=errand)
        (folder / program).chmod(0o755)

    program = "node_modules/ipfs/src/cli.js"
    recipe = (_JS / "package.json", _JS / "package-lock.json")
    node = shutil.which("node")
    if node is None:
        raise unavailable("there is no node on the PATH", remedy=REMEDY)
    return Program((node, str(fetched("js-ipfs", program, recipe, make, errand=errand, tools=tools))), "js")
