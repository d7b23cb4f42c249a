"""A node of its own for a measurement or a test: started on a free port, asked synchronously, ended in any case.

Belongs here: starting and ending anvil, sending with the accounts that it holds, snapshots.
Does not belong here: the platform's chain (nexus.runtime), transactions that must not be lost (client/transactions).
"""

from __future__ import annotations

import ctypes
import itertools
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from nexus.errors import Category, NexusError, unavailable

READY_S = 30.0
_GAS = 25_000_000
_PR_SET_PDEATHSIG = 1


class Refused(Exception):  # noqa: N818 - it is an answer
    """The node's own error, or a receipt that says "reverted"."""

    def __init__(self, message: str, data: str = "0x") -> None:
        super().__init__(message)
        self.data = data


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction."""

    hash: str
    gas_used: int
    logs: tuple[dict[str, Any], ...]
    block_number: int
    contract: str | None


class DevNode:
    """A synchronous client of a development node that mines each transaction at once.

    Args:
        url: Where it answers.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(timeout=30, trust_env=False)
        self._numbers = itertools.count(1)
        self.accounts: list[str] = []

    def connect(self) -> DevNode:
        """Learn the accounts that the node holds."""
        self.accounts = [str(account) for account in self.call("eth_accounts")]
        return self

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """Ask the node.

        Raises:
            Refused: The node's own error.
        """
        question = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": list(params)}
        answer = self._http.post(self.url, json=question).json()
        if "error" in answer:
            data = answer["error"].get("data")
            raise Refused(answer["error"]["message"], data if isinstance(data, str) else "0x")
        return answer["result"]

    def read(self, to: str, data: bytes, *, sender: str | None = None) -> bytes:
        """A static call."""
        call = {"to": to, "data": "0x" + data.hex()} | ({"from": sender} if sender else {})
        return bytes.fromhex(self.call("eth_call", [call, "latest"])[2:])

    def send(
        self, to: str | None, data: bytes = b"", *, sender: str | None = None, value: int = 0, gas: int = _GAS
    ) -> Receipt:
        """Send with an account of the node, and wait for its receipt.

        Raises:
            Refused: It reverted; ``data`` holds the reason.
        """
        call: dict[str, Any] = {
            "from": sender or self.accounts[0],
            "data": "0x" + data.hex(),
            "value": hex(value),
            "gas": hex(gas),
        }
        if to is not None:
            call["to"] = to
        receipt = self.call("eth_sendTransactionSync", [call])
        number = int(receipt["blockNumber"], 16)
        if receipt["status"] != "0x1":
            self.call("eth_call", [call, hex(number - 1)])
            raise Refused("reverted, and the same call before its block did not")
        return Receipt(
            receipt["transactionHash"],
            int(receipt["gasUsed"], 16),
            tuple(receipt["logs"]),
            number,
            receipt["contractAddress"],
        )

    def balance(self, address: str) -> int:
        """Native coin of an address."""
        return int(self.call("eth_getBalance", [address, "latest"]), 16)

    def advance(self, seconds: int) -> None:
        """Let time pass, and a block with it."""
        self.call("evm_increaseTime", [seconds])
        self.call("evm_mine")

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Whatever happens inside is forgotten."""
        snapshot = self.call("evm_snapshot")
        try:
            yield
        finally:
            self.call("evm_revert", [snapshot])


@contextmanager
def running(port: int | None = None, words: Sequence[str] = ()) -> Iterator[DevNode]:
    """A fresh anvil, ended with the block, also when this process is asked to end.

    Args:
        port: Where to listen; None: any free port.
        words: More of its options.
    """
    from nexus.runtime.anvil import HARDFORK, HISTORY, anvil_binary

    chosen = port or _free_port()
    where = ("--host", "127.0.0.1", "--port", str(chosen))
    argv = [anvil_binary(), *where, "--hardfork", HARDFORK, *HISTORY, *words, "--quiet"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet, preexec_fn=_mortal())  # noqa: PLW1509
    node = DevNode(f"http://127.0.0.1:{chosen}")
    try:
        _await(node, process)
        yield node
    finally:
        node.close()
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def _mortal() -> Callable[[], None] | None:
    """What a child does first so that it ends with us, also when we are killed (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    kernel = ctypes.CDLL(None, use_errno=True)
    return lambda: kernel.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _await(node: DevNode, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            node.connect()
        except httpx.HTTPError:
            if process.poll() is not None:
                raise NexusError(
                    f"anvil ended with {process.returncode}",
                    category=Category.UNAVAILABLE,
                    remedy="start it by hand to see why",
                ) from None
            if time.monotonic() > deadline:
                raise unavailable("anvil does not answer", remedy="is the machine overloaded?") from None
            try:
                process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
        else:
            return
