"""When the embedded chain gets blocks, and what is left of it after ``kill -9``."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil
import pytest

from nexus.errors import NexusError
from nexus.runtime import anvil, anvil_keeper, ports
from nexus.runtime.anvil_keeper import Keeper, Node

CHAIN_ID = 31337
SOMEBODY = "0x" + "ab" * 20


class FakeNode:
    """A chain of numbers."""

    def __init__(self) -> None:
        self.number = 0
        self.pending = 0
        self.fork = "a"
        self.saves = 0

    def head(self) -> tuple[int, str]:
        """Number and hash."""
        return self.number, f"0x{self.fork}{self.number}"

    def waiting(self) -> int:
        """What a block could take."""
        return self.pending

    def ask(self, method: str, *_params: Any) -> Any:
        """Mine or dump."""
        if method == "evm_mine":
            self.number += 1
            self.pending = 0
            return "0x0"
        assert method == "anvil_dumpState"
        self.saves += 1
        return "0x" + gzip.compress(str(self.number).encode()).hex()


class Bench:
    """A keeper over a fake node, with a clock that passes when told."""

    def __init__(self, folder: Path, depth: int = 2) -> None:
        self.node, self.at, self.file = FakeNode(), 1000.0, folder / "state.json"
        self.keeper = Keeper(self.node, self.file, depth, now=lambda: self.at)  # type: ignore[arg-type]

    def live(self, seconds: float) -> None:
        """Look as often as the keeper would."""
        end = self.at + seconds
        while self.at < end:
            self.at += anvil_keeper.LOOK_S
            self.keeper.look()

    def kept(self) -> int:
        """The block that is on disk."""
        return int(self.file.read_text()) if self.file.exists() else 0


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.unit
def test_keeper__transaction_waits__gets_its_block_at_once_and_is_final_within_seconds(bench: Bench) -> None:
    bench.live(30)
    before, bench.node.pending = bench.node.number, 1
    bench.live(anvil_keeper.LOOK_S * 2)
    assert bench.node.number == before + 1
    bench.live(3)
    assert bench.node.number >= before + 1 + 2


@pytest.mark.unit
def test_keeper__nobody_does_anything__blocks_come_rarer_and_rarer(bench: Bench) -> None:
    bench.live(3600)
    assert bench.node.number <= 3600 / anvil_keeper.QUIET_S + 15
    before = bench.node.number
    bench.live(anvil_keeper.QUIET_S * 2.1)
    assert bench.node.number >= before + 2, "clocks of votes go on"


@pytest.mark.unit
def test_keeper__traffic_without_end__what_is_final_is_always_on_disk(bench: Bench) -> None:
    for _ in range(400):
        bench.node.pending = 3
        bench.at += anvil_keeper.LOOK_S
        bench.keeper.look()
        assert bench.kept() >= bench.node.number - 2


@pytest.mark.unit
def test_keeper__disk_is_full__nothing_becomes_final_and_it_goes_on_afterwards(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.live(5)
    final = bench.kept()

    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(anvil_keeper, "write", full)
        for _ in range(200):
            bench.node.pending = 1
            bench.live(0.1)
        assert bench.node.number - 2 <= final
    bench.live(5)
    assert bench.kept() >= bench.node.number - 2
    assert bench.node.number > final + 2


@pytest.mark.unit
def test_keeper__blocks_exchanged_by_somebody_else__are_written_and_buried_too(bench: Bench) -> None:
    bench.live(600)
    before, saves = bench.node.number, bench.node.saves
    bench.node.fork = "b"
    bench.live(3)
    assert bench.node.number >= before + 2
    assert bench.node.saves > saves


@pytest.mark.unit
def test_write__killed_before_the_end__leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    anvil_keeper.write(path, b"old")

    def dead(_number: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", dead)
    with pytest.raises(KeyboardInterrupt):
        anvil_keeper.write(path, b"new")
    assert path.read_bytes() == b"old"


@pytest.fixture
def program() -> str:
    try:
        return anvil.anvil_binary()
    except NexusError as error:
        pytest.skip(f"no anvil here: {error.message}")


def _until(check: Callable[[], object], process: psutil.Popen, patience_s: float = 30.0) -> None:
    """Wait for something; the process is what is waited on, so that its end ends the wait."""
    for _ in range(int(patience_s / 0.05)):
        try:
            if check():
                return
        except (OSError, ValueError, HTTPException):
            pass
        try:
            process.wait(0.05)
        except psutil.TimeoutExpired:
            continue
        break
    pytest.fail("it did not come")


@contextmanager
def _keeper(program: str, folder: Path, port: int) -> Iterator[tuple[psutil.Popen, Node]]:
    command = anvil.command(program, folder, port, chain_id=CHAIN_ID, depth=2)
    with (folder.parent / "chain.log").open("ab") as log:
        process = psutil.Popen(command.argv, env=command.environment(), cwd=command.cwd, stdout=log, stderr=log)
    node = Node(port)
    try:
        _until(node.head, process)
        yield process, node
    finally:
        node.close()
        if process.is_running():
            process.kill()
        process.wait(20)


@pytest.fixture
def port() -> int:
    return ports.choose([ports.Wish("chain", 27_000 + os.getpid() % 900)], {})["chain"]


@pytest.mark.integration
def test_chain__killed_at_any_moment__final_blocks_are_there_and_nobody_is_left(
    program: str, tmp_path: Path, port: int
) -> None:
    folder = tmp_path / "chain"
    with _keeper(program, folder, port) as (process, node):
        node.ask("anvil_setBalance", SOMEBODY, hex(5))
        node.ask("evm_mine")
        marked = node.head()
        _until(lambda: int(node.ask("eth_getBlockByNumber", "finalized", False)["number"], 16) >= marked[0], process)
        (child,) = process.children()
        process.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs([child], timeout=10)
        assert not alive, "the node ends with its keeper"
    with _keeper(program, folder, port) as (_, node):
        assert node.ask("eth_getBlockByNumber", hex(marked[0]), False)["hash"] == marked[1]
        assert int(node.ask("eth_getBalance", SOMEBODY, "latest"), 16) == 5
        assert node.ask("eth_accounts") == []


@pytest.mark.integration
def test_chain__asked_to_end__keeps_even_what_is_not_final(program: str, tmp_path: Path, port: int) -> None:
    folder = tmp_path / "chain"
    with _keeper(program, folder, port) as (process, node):
        for _ in range(4):
            node.ask("evm_mine")
        number = node.head()[0]
        process.terminate()
        assert process.wait(20) == 0
    with _keeper(program, folder, port) as (_, node):
        assert node.head()[0] >= number


@pytest.mark.integration
def test_chain__node_dies__its_keeper_says_so_and_ends(program: str, tmp_path: Path, port: int) -> None:
    with _keeper(program, tmp_path / "chain", port) as (process, _):
        process.children()[0].kill()
        assert process.wait(20) == 1
    assert "anvil ended with -9" in (tmp_path / "chain.log").read_text()


@pytest.mark.integration
def test_command__everything__listens_on_loopback_only(program: str, tmp_path: Path, port: int) -> None:
    with _keeper(program, tmp_path / "chain", port) as (process, _):
        listening = [
            one.laddr.ip for one in process.children()[0].net_connections() if one.status == psutil.CONN_LISTEN
        ]
    assert listening == ["127.0.0.1"]


@pytest.mark.unit
def test_anvil_binary__own_program_that_is_none__is_refused(tmp_path: Path) -> None:
    with pytest.raises(NexusError) as caught:
        anvil.anvil_binary(tmp_path / "anvil")
    assert caught.value.field == "web3.chain_program"


@pytest.mark.unit
def test_anvil_binary__neither_program_nor_npm__is_one_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NexusError, match="no npm on the PATH") as caught:
        anvil.anvil_binary(tools=tmp_path / "tools")
    assert "NEXUS_WEB3__RPC_URLS" in (caught.value.remedy or "")


@pytest.mark.unit
def test_anvil_binary__system_has_an_old_one__is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "anvil"
    old.write_text("#!/bin/sh\necho 'anvil 0.2.0'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NexusError):
        anvil.anvil_binary(tools=tmp_path / "tools")
    old.write_text("#!/bin/sh\necho 'anvil Version: 1.5.0'\n")
    assert anvil.anvil_binary(tools=tmp_path / "tools") == str(old)


@pytest.mark.unit
def test_keeper_source__bare_interpreter__can_run_it() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import runpy; runpy.run_path({str(anvil.KEEPER)!r})"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
