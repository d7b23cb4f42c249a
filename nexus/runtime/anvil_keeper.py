"""Runs anvil and is its clock and its memory: makes blocks when there is something to put in, and keeps the chain on disk.

Anvil by itself either makes a block per transaction and then none, so that nothing becomes final, or one a second for
ever, 5 MB of state an hour that it writes whole at each save. Here a block comes as soon as a transaction waits, at most
one each ``GAP_S``; empty ones follow until everything is final, then rarer and rarer, up to one each ``QUIET_S`` (clocks
of votes go on). Before a block is followed by the one that may make it final, it is on disk: what is final survives
``kill -9``. Run with the bare interpreter, so that it costs 10 MB; it knows nothing of NEXUS.
Belongs here: that. Does not belong here: the node's options (anvil.py).

Words: STATE PORT DEPTH PROGRAM [OPTIONS]...
"""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

GAP_S = 0.5
QUIET_S = 60.0
LOOK_S, QUIET_LOOK_S = 0.05, 0.2
READY_S = 60.0
SAVE_SHARE = 0.1
"""Of the time, at most, that is spent on writing the chain."""
_BUSY_GAP_S = 8.0
_PR_SET_PDEATHSIG = 1
_TIMEOUT_S = 60.0
_NOTHING = (-1, "")


class Node:
    """Anvil, asked over one kept connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, *params: Any) -> Any:
        """The result; OSError, HTTPException or ValueError when there is none."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_S)
        try:
            self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
            said = json.loads(self._connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            raise
        if "error" in said:
            raise ValueError(str(said["error"]))
        return said["result"]

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def head(self) -> tuple[int, str]:
        """Number and hash of the latest block."""
        block = self.ask("eth_getBlockByNumber", "latest", False)
        return int(block["number"], 16), str(block["hash"])

    def waiting(self) -> int:
        """Transactions that a block could take."""
        return int(self.ask("txpool_status")["pending"], 16)


class Keeper:
    """When blocks come and when the chain is written.

    Args:
        node: The node.
        state: The file that the chain is kept in.
        depth: Blocks on top of another that make it final.
        now: Clock, in seconds.
    """

    def __init__(self, node: Node, state: Path, depth: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._node = node
        self._state = state
        self._depth = depth
        self._now = now
        self._saved = _NOTHING  # somebody may have been faster than we: what is on disk is known after the first save
        self._head = node.head()
        self._busy_at = self._head[0]
        self._mined_at = float("-inf")
        self._saved_at = float("-inf")
        self._save_s = 0.0
        self._gap_s = GAP_S

    @property
    def pause_s(self) -> float:
        """How long to wait before the next look: not long while there is traffic."""
        return LOOK_S if self._gap_s <= _BUSY_GAP_S else QUIET_LOOK_S

    def look(self) -> None:
        """Make a block or write the chain, if it is time for it."""
        head = self._node.head()
        if head != self._head:  # somebody else made, dropped or exchanged blocks
            self._head, self._busy_at = head, head[0]
            self._gap_s = GAP_S
        is_time = self._now() - self._mined_at >= GAP_S
        if is_time and self._node.waiting():
            self._mine(is_empty=False)
        elif head[0] < self._busy_at + self._depth + 1:
            if is_time and self.save():
                self._mine(is_empty=True)
        elif self._now() - self._mined_at >= self._gap_s:
            self._mine(is_empty=True)
            self._gap_s = min(QUIET_S, self._gap_s * 2)

    def _mine(self, *, is_empty: bool) -> None:
        """A block on top; whatever it may make final is on disk before."""
        if self._head[0] + 1 - self._depth > self._saved[0] and not self.save(is_urgent=True):
            return
        self._node.ask("evm_mine")
        self._mined_at = self._now()
        self._head = self._node.head()
        if not is_empty:
            self._busy_at = self._head[0]
            self._gap_s = GAP_S

    def save(self, *, is_urgent: bool = False) -> bool:
        """Write the chain unless it is on disk as it is; False when it may not be written yet, or cannot be."""
        head = self._node.head()
        if head == self._saved:
            return True
        if not is_urgent and self._now() - self._saved_at < self._save_s / SAVE_SHARE:
            return False
        began = self._now()
        try:
            write(self._state, gzip.decompress(bytes.fromhex(self._node.ask("anvil_dumpState")[2:])))
        except OSError as error:
            if isinstance(error, (ConnectionError, TimeoutError)):
                raise
            say(f"error: the chain cannot be written, so nothing becomes final: {error.strerror}")
            self._saved_at, self._save_s = self._now(), 0.1
            return False
        self._saved, self._saved_at = head, self._now()
        self._save_s = self._saved_at - began
        return True


def write(path: Path, content: bytes) -> None:
    """Replace a file whole or not at all."""
    fresh = path.with_name(f".{path.name}.fresh")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def say(text: str) -> None:
    """A line in the part's log."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def mortal() -> None:
    """Run by the child before it becomes the node: it ends with us, also when we are killed."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def ready(node: Node, process: subprocess.Popen[bytes]) -> None:
    """Wait until the node answers; SystemExit when it ends instead."""
    deadline = time.monotonic() + READY_S
    while True:
        try:
            node.head()
        except (OSError, http.client.HTTPException, ValueError):
            if process.poll() is not None:
                raise SystemExit(f"error: anvil ended with {process.returncode} before it answered") from None
            if time.monotonic() > deadline:
                raise SystemExit(f"error: anvil gave no answer within {READY_S:.0f} s") from None
            time.sleep(LOOK_S)
        else:
            return


def main(words: list[str]) -> int:
    """Run the node until somebody asks us to end, or until it ends by itself."""
    state, port, depth = Path(words[0]), int(words[1]), int(words[2])
    argv = words[3:] + (["--load-state", str(state)] if state.exists() else [])
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, preexec_fn=mortal)  # noqa: PLW1509 - we have one thread
    is_asked: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        is_asked.append(number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        node = Node(port)
        ready(node, process)
        keeper = Keeper(node, state, depth)
        say(f"the chain is at block {node.head()[0]}, kept in {state.name}")
        while not is_asked and process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                keeper.look()
            time.sleep(keeper.pause_s)
        if process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                keeper.save(is_urgent=True)
            return 0
        say(f"error: anvil ended with {process.returncode}")
        return 1
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
