"""The embedded chain: anvil's program and its command line.

Belongs here: finding or fetching the program, the options of the node.
Does not belong here: when blocks come and when the chain is kept (anvil_keeper.py), contracts (contracts.client.setup).
The chain has no accounts of its own: keys that everybody knows would own it. Coins come from ``anvil_setBalance``.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from nexus.errors import NexusError, invalid, unavailable
from nexus.runtime.command import Command
from nexus.runtime.fetched import QUIET, TOOLS, Errand, fetched, npm_ci
from nexus.settings import ROOT

HARDFORK = "prague"
# Else every block past some hundreds leaves a whole state in a folder of the account, gigabytes in an hour, for good.
HISTORY = ("--prune-history", "300")
STATE = "state.json"
KEEPER = Path(__file__).with_name("anvil_keeper.py")
LEAST_VERSION = (1, 0)
_RECIPE = ROOT / "deploy" / "anvil"
_PACKAGED = Path("node_modules") / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"
REMEDY = (
    "install Node.js with npm (apt-get install npm), or Foundry's anvil on the PATH, or set web3.chain_program; "
    "or give an endpoint of your own: NEXUS_WEB3__RPC_URLS"
)


def _version(program: str) -> tuple[int, int]:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    match = re.search(r"anvil\D+(\d+)\.(\d+)", done.stdout, re.IGNORECASE)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def anvil_binary(own: Path | None = None, *, errand: Errand = QUIET, tools: Path = TOOLS) -> str:
    """The program: a person's own, that of the PATH, or the one that npm carries, fetched once.

    Args:
        own: What a person set (``web3.chain_program``).
        errand: Who waits for it.
        tools: Where fetched programs are.

    Raises:
        NexusError: ``invalid`` for a program of one's own that is none, ``unavailable`` when there is none to be had.
    """
    if own is not None:
        if _version(str(own)) < LEAST_VERSION:
            raise invalid(
                "this is no anvil of version 1.0 or newer", field="web3.chain_program", value=own, remedy=REMEDY
            )
        return str(own)
    found = shutil.which("anvil")
    if found and _version(found) >= LEAST_VERSION:
        return found
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise _cannot(f"there is no packaged one for {sys.platform} on {platform.machine()}")

    def make(folder: Path) -> None:
        errand.say("anvil: fetched with npm, once")
        npm_ci(_RECIPE, folder, remedy=REMEDY, errand=errand)
        place = folder / "bin"
        place.mkdir()
        (folder / _PACKAGED).rename(place / "anvil")
        (place / "anvil").chmod(0o755)
        shutil.rmtree(folder / "node_modules")

    recipe = (_RECIPE / "package.json", _RECIPE / "package-lock.json")
    try:
        return str(fetched("anvil", "bin/anvil", recipe, make, errand=errand, tools=tools))
    except NexusError as error:
        raise _cannot(error.message) from None


def _cannot(cause: str) -> NexusError:
    return unavailable(f"the embedded chain's program cannot be had: {cause}", remedy=REMEDY)


def command(program: str, data: Path, port: int, *, chain_id: int, depth: int) -> Command:
    """The keeper's command line, with the node's after it.

    Args:
        program: The node.
        data: Its folder.
        port: Where it listens, on loopback.
        chain_id: Its number.
        depth: Blocks that follow a block with transactions before the chain falls quiet.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    node = (
        program, "--host", "127.0.0.1", "--port", str(port), "--chain-id", str(chain_id), "--hardfork", HARDFORK,
        # Mined by the keeper; the tags safe and finalized lie one and two blocks back.
        "--no-mining", "--slots-in-an-epoch", "1",
        # No keys that everybody knows, no pages of a browser, no files outside of the state folder.
        "--accounts", "0", "--no-cors", *HISTORY, "--quiet",
    )  # fmt: skip
    words = (sys.executable, "-I", "-S", str(KEEPER), str(data / STATE), str(port), str(depth), *node)
    return Command(words, env={"HOME": str(data)}, cwd=str(data))
