"""``bin/nexus trace``: the tree for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus import telemetry
from nexus.cli.main import main
from nexus.settings import Settings

pytestmark = pytest.mark.unit

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path))
    traced = telemetry.configure(Settings(home=tmp_path), "api")
    yield tmp_path
    traced.close()


def _make() -> None:
    with telemetry.attach(PARENT), telemetry.span("POST /v1/content", rows=3), telemetry.span("step a"):
        pass
    with telemetry.span("drain", links=[PARENT]):
        pass
    telemetry.flush()


@pytest.mark.parametrize("given", [TRACE, TRACE.upper(), PARENT])
def test_trace__known_id__is_a_tree_as_json(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    _make()
    assert main(["trace", given, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["trace_id"], answer["services"]) == (TRACE, ["api"])
    (root,) = answer["spans"]
    assert (root["name"], root["attributes"], root["status"]) == ("POST /v1/content", {"rows": 3}, "unset")
    assert [child["name"] for child in root["children"]] == ["step a"]
    assert answer["duration_ms"] >= root["duration_ms"] >= root["children"][0]["duration_ms"] >= 0
    assert [linked["name"] for linked in answer["linked"]] == ["drain"]
    assert answer["linked"][0]["trace_id"] != TRACE


def test_trace__known_id__is_a_tree_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    _make()
    assert main(["trace", TRACE]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("POST /v1/content ")
    assert lines[2].startswith("  step a ")
    assert lines[3].startswith("linked: drain")


@pytest.mark.parametrize(
    ("given", "code", "word"),
    [("nonsense", 2, "not a trace id"), ("4" * 31, 2, "not a trace id"), ("f" * 32, 1, "no span of this trace")],
)
def test_trace__unknown_or_wrong_id__says_so(
    given: str, code: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", given]) == code
    said = capsys.readouterr()
    assert word in said.err
    assert "remedy" in said.err
    assert said.out == ""


def test_trace__no_id__lists_the_latest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace"]) == 0
    assert "no trace is kept yet" in capsys.readouterr().out
    _make()
    assert main(["trace", "--json"]) == 0
    assert [span["name"] for span in json.loads(capsys.readouterr().out)["latest"]] == ["drain"]
