"""The environment of the peers, made on first use under ``.nexus/bench/peers``.

Belongs here: making it from the locked list. Does not belong here: what runs in it (worker).

It stands apart because RecTools wants an older numpy than NEXUS has. The index is the one that pip was told of, as in
``bin/nexus``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WANTED = Path(__file__).with_name("requirements.txt")
PLACE = ROOT / ".nexus" / "bench" / "peers"
OF_PIP = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_EXTRA_INDEX_URL": "UV_INDEX", "PIP_CERT": "SSL_CERT_FILE"}


def python() -> Path:
    """The interpreter of the peers; ends the process with a word when the environment cannot be made."""
    found, stamp = PLACE / "bin" / "python", PLACE / ".wanted"
    if found.is_file() and stamp.is_file() and stamp.read_bytes() == WANTED.read_bytes():
        return found
    print(f"making the environment of the peers in {PLACE} (about 5 GB with torch, once)", file=sys.stderr, flush=True)
    uv = _uv()
    environment = dict(os.environ)
    for theirs, ours in OF_PIP.items():
        if theirs in environment:
            environment.setdefault(ours, environment[theirs])
    for words in (
        ("venv", "--quiet", "--allow-existing", "--python", "3.11", str(PLACE)),
        ("pip", "sync", "--quiet", "--python", str(found), "--require-hashes", str(WANTED)),
    ):
        if subprocess.run([uv, *words], env=environment, check=False).returncode:
            sys.exit("the environment of the peers could not be made: check the package index, then run this again")
    stamp.write_bytes(WANTED.read_bytes())
    return found


def _uv() -> str:
    """``uv`` on the path, or the one that ``bin/nexus`` installed."""
    for place in ("venv", "pip"):
        found = ROOT / ".tools" / place / "bin" / "uv"
        if found.is_file():
            return str(found)
    return shutil.which("uv") or sys.exit("there is no uv: run bin/nexus --help once, it installs one")
