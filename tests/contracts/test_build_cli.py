"""The commands: what they print and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from contracts import build_cli, compiler, gas
from nexus.errors import Category, NexusError

FIGURES = {"mint": 54_000, "batch": 25_000}


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> typer.Typer:
    """The commands with figures that need no node."""
    monkeypatch.setattr(gas, "measure", lambda: dict(FIGURES))
    monkeypatch.setattr(gas, "BASELINE", tmp_path / "gas.json")
    made = typer.Typer()
    made.callback()(lambda: None)
    build_cli.register(made)
    return made


@pytest.mark.unit
@pytest.mark.parametrize("committed", [{}, FIGURES | {"mint": 1}, FIGURES | {"gone": 1}], ids=["none", "other", "more"])
def test_gas__that_is_not_the_committed__fails_and_says_how_to_accept_it(
    app: typer.Typer, committed: dict[str, int]
) -> None:
    gas.BASELINE.write_text(json.dumps(committed))
    result = CliRunner().invoke(app, ["contracts", "gas"])
    assert isinstance(result.exception, NexusError)
    assert "--save" in (result.exception.remedy or "")
    assert "54,000" in result.output


@pytest.mark.unit
def test_gas__saved__is_the_committed_from_then_on(app: typer.Typer) -> None:
    assert CliRunner().invoke(app, ["contracts", "gas", "--save"]).exit_code == 0
    result = CliRunner().invoke(app, ["contracts", "gas", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["is_same"]
    assert json.loads(gas.BASELINE.read_text()) == FIGURES


@pytest.mark.unit
def test_check__of_artifacts_that_differ__names_them(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "differences", lambda unit: [f"{unit.folder.name}.json: differs"])
    result = CliRunner().invoke(app, ["contracts", "check"])
    assert isinstance(result.exception, NexusError)
    assert result.exception.category is Category.CONFLICT
    assert "artifacts.json: differs" in str(result.exception)
    monkeypatch.setattr(compiler, "differences", lambda _unit: [])
    assert CliRunner().invoke(app, ["contracts", "check"]).exit_code == 0
