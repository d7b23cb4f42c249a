"""The committed artifacts and gas figures are what the sources give."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts import compiler
from contracts.devnode import DevNode, running
from contracts.gas import BASELINE, LIMITS, Bench, compared
from nexus.errors import Category, NexusError
from tests.marks import exhaustive

# Compiling everything takes 20 s of one core; that unchanged sources were compiled is checked in test_artifacts.py.
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js compiles contracts and is not here")


@pytest.fixture(scope="module")
def node() -> Iterator[DevNode]:
    """A node of its own: figures depend on what was there before."""
    with running() as fresh:
        yield fresh


@pytest.mark.integration
def test_gas__measured_now__is_what_is_committed_and_within_the_limits(node: DevNode) -> None:
    measured = Bench(node).run()
    rows, is_same = compared(measured)
    assert is_same, [row for row in rows if row["change"] != 0]
    for name, limit in LIMITS.items():
        assert measured[name] <= limit


@pytest.mark.unit
def test_gas__that_changed__is_told_row_by_row() -> None:
    committed: dict[str, int] = json.loads(BASELINE.read_text())
    name = next(iter(committed))
    rows, is_same = compared({**committed, name: committed[name] + 1, "new": 5})
    assert not is_same
    assert {row["operation"]: row["change"] for row in rows if row["change"] != 0} == {name: 1, "new": None}


@pytest.mark.slow
@needs_node
@exhaustive
def test_artifacts__compiled_again__are_the_same_byte_for_byte() -> None:
    assert [line for unit in compiler.units() for line in compiler.differences(unit)] == []


@pytest.mark.integration
@needs_node
def test_compiler__given_one_small_contract__finds_what_differs(tmp_path: Path) -> None:
    source = tmp_path / "Small.sol"
    source.write_text(
        "// SPDX-License-Identifier: MIT\npragma solidity 0.8.37;\ncontract Small { uint256 public x; }\n"
    )
    out = tmp_path / "out"
    unit = compiler.Unit({"contracts/Small.sol": source}, (), out, settings=compiler.SETTINGS | {"viaIR": False})
    assert [path.name for path in compiler.write(unit)] == ["Small.json"]
    assert compiler.differences(unit) == []
    made = json.loads((out / "Small.json").read_text())
    assert str(tmp_path) not in json.dumps(made)
    (out / "Old.json").write_text("{}")
    source.write_text(source.read_text().replace("public x", "public y"))
    assert compiler.differences(unit) == ["Old.json: left over", "Small.json: differs"]


@pytest.mark.integration
@needs_node
def test_compiler__given_a_mistake__says_where(tmp_path: Path) -> None:
    source = tmp_path / "Wrong.sol"
    source.write_text("// SPDX-License-Identifier: MIT\npragma solidity 0.8.37;\ncontract Wrong { uint256 public x }\n")
    with pytest.raises(NexusError, match="Expected ';'") as caught:
        compiler.build(compiler.Unit({"contracts/Wrong.sol": source}, (), tmp_path))
    assert caught.value.category is Category.INVALID


@pytest.mark.unit
def test_compiler__without_node__says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(NexusError) as caught:
        compiler._program("node")
    assert caught.value.category is Category.UNAVAILABLE
    assert "Node.js" in (caught.value.remedy or "")
