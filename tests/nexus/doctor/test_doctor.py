"""Each fault is named with what to do about it, and after the repair it is named no more."""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
import pytest

from nexus.cli.main import main
from nexus.doctor import data, files, machine, parts
from nexus.doctor.finding import Check, Finding, Verdict
from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake
from nexus.runtime.home import Home
from nexus.settings import Settings
from training import doctor as model_doctor
from training.bundle import assemble
from training.bundle_format import MODEL_FILE, Manifest, bundle_folder, write_pointer

pytestmark = pytest.mark.unit
GB = 1_000_000_000


class Usage(NamedTuple):
    """What shutil.disk_usage answers."""

    total: float
    used: float
    free: float


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.ensure()
    return made


@pytest.fixture
def user(home: Home) -> Settings:
    return Settings(home=home.root)


def _bad(check: Check, home: Home, user: Settings) -> list[Finding]:
    return [finding for finding in check(home, user) if finding.verdict is not Verdict.OK]


def _one(check: Check, home: Home, user: Settings) -> Finding:
    (found,) = _bad(check, home, user)
    assert found.remedy
    return found


@pytest.mark.parametrize(
    ("total", "free", "verdict"),
    [
        (100 * GB, 50 * GB, Verdict.OK),
        (100 * GB, 2.5 * GB, Verdict.OK),
        (100 * GB, 1.9 * GB, Verdict.FAILED),
        (10 * GB, 1 * GB, Verdict.WARNING),
        (10_000_000, 100_000, Verdict.FAILED),
    ],
)
def test_disk__free_space__is_judged(
    home: Home, user: Settings, monkeypatch: pytest.MonkeyPatch, total: int, free: int, verdict: Verdict
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(total, total - free, free))
    (found,) = [one for one in machine.machine(home, user) if one.name == "disk"]
    assert found.verdict is verdict
    assert verdict is Verdict.OK or "free some space" in str(found.remedy)


@pytest.mark.parametrize("name", ["secrets.json", "run/endpoints.json"])
def test_folder__others_may_read_a_secret__is_mended(home: Home, user: Settings, name: str) -> None:
    path = home.root / name
    path.write_text('{"a": 1}')
    path.chmod(0o644)
    found = _one(files.folder, home, user)
    assert found.name == name
    assert f"chmod 600 {path}" == found.remedy
    assert found.mend is not None
    assert "only you" in found.mend()
    assert _bad(files.folder, home, user) == []


def test_folder__port_file_is_half_written__is_named(home: Home, user: Settings) -> None:
    (home.run / "ports.json").write_text('{"redis": 1')
    assert "not JSON" in _one(files.folder, home, user).said


def test_at_work__somebody_holds_the_lock__is_named_until_they_are_done(home: Home, user: Settings) -> None:
    with (home.run / "lock").open("w") as file:
        file.write("4711 up\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        found = _one(files.at_work, home, user)
        assert "bin/nexus up is at work (pid 4711)" in found.said
    assert _bad(files.at_work, home, user) == []


def test_at_work__everything_ended_at_once__says_power_cut(home: Home, user: Settings) -> None:
    (home.run / "supervisord.pid").write_text("1")
    found = _one(files.at_work, home, user)
    assert "power cut" in found.said
    assert "bin/nexus up" in str(found.remedy)


@pytest.fixture
def lake(user: Settings) -> Lake:
    made = Lake.from_settings(user)
    made.write("core_nexus__events", declared("core_nexus__events").schema.empty_table(), mode="append")
    row = {
        "stream_id": "1-0",
        "body": "{}",
        "day": datetime(2026, 1, 1, tzinfo=UTC).date(),
        "drained_at": datetime.now(UTC),
    }
    made.write(
        "raw_nexus__events", pa.Table.from_pylist([row], schema=declared("raw_nexus__events").schema), mode="append"
    )
    return made


@pytest.mark.usefixtures("lake")
def test_clock__a_write_from_tomorrow__says_how_far_behind(home: Home, user: Settings) -> None:
    assert [one.verdict for one in machine.clock(home, user)] == [Verdict.OK]
    (found,) = machine.clock(home, user, now=lambda: time.time() - 86_400)
    assert found.verdict is Verdict.FAILED
    assert "24.0 hours behind" in found.said


def test_tables__all_whole__one_line(home: Home, user: Settings, lake: Lake) -> None:
    (found,) = data.tables(home, user)
    assert found.said == "2 tables, every file there"
    assert lake.count("raw_nexus__events") == 1


@pytest.mark.parametrize("damage", ["missing", "shorter", "flipped"])
def test_tables__a_file_is_damaged__names_table_and_file(home: Home, user: Settings, lake: Lake, damage: str) -> None:
    folder = Path(lake.uri("raw_nexus__events"))
    (file,) = folder.rglob("*.parquet")
    content = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "shorter":
        file.write_bytes(content[:-7])
    else:
        content[-6] ^= 0xFF
        content[-12:-8] = b"\xff\xff\xff\xff"
        file.write_bytes(content)
    found = _one(data.tables, home, user)
    assert found.name == "raw_nexus__events"
    assert file.name in found.said
    assert found.mend is None


def test_tables__log_of_a_derived_one_is_broken__is_set_aside(home: Home, user: Settings, lake: Lake) -> None:
    (Path(lake.uri("core_nexus__events")) / "_delta_log" / f"{0:020}.json").write_text("{broken")
    found = _one(data.tables, home, user)
    assert found.name == "core_nexus__events"
    assert "pipeline run" in str(found.remedy)
    assert found.mend is not None
    assert "moved to" in found.mend()
    assert _bad(data.tables, home, user) == []
    assert list((home.root / "damaged").iterdir())


def _published(user: Settings, version: str) -> Path:
    folder = bundle_folder(user.bundle_url, version)
    folder.mkdir(parents=True)
    (folder / MODEL_FILE).write_bytes(b"model" * 100)
    manifest = Manifest(
        version=version, model_name="m", created_at=datetime.now(UTC), data_hash="x", history_length=5, files={}
    )
    assemble(folder, manifest, ["", "a", "b"])
    write_pointer(user.bundle_url, version)
    return folder / MODEL_FILE


@pytest.mark.parametrize("damage", ["truncated", "flipped", "gone", "pointer"])
def test_model__bundle_is_damaged__names_the_file_and_the_repair(home: Home, user: Settings, damage: str) -> None:
    model = _published(user, "1")
    assert _bad(model_doctor.findings, home, user) == []
    whole = model.read_bytes()
    if damage == "truncated":
        model.write_bytes(whole[:-1])
    elif damage == "flipped":
        model.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    elif damage == "gone":
        shutil.rmtree(model.parent)
    else:
        (Path(user.bundle_url) / "champion.json").write_text("{")
    found = _one(model_doctor.findings, home, user)
    assert found.verdict is Verdict.FAILED
    assert found.mend is not None
    assert "bin/nexus doctor --fix" in str(found.remedy)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["all well", "OSError: [Errno 28] No space left on device", "bye"], "No space left on device"),
        (["Bad file format reading the append only file: make a backup"], "Bad file format"),
        (['{"event": "fine", "level": "info", "x": "error"}', "FATAL:  data directory is locked"], "FATAL"),
        (['{"event": "model_refused", "level": "error", "reason": "damaged"}'], "model_refused: damaged"),
        (["started", "listening on 3"], None),
        ([], None),
    ],
)
def test_cause__of_a_log__is_the_last_telling_line(tmp_path: Path, lines: list[str], expected: str | None) -> None:
    log = tmp_path / "part.log"
    log.write_text("\n".join(lines))
    said = parts.cause(log)
    assert said is None if expected is None else expected in str(said)


def test_how_it_ended__killed__says_by_what(home: Home) -> None:
    home.log("supervisor").write_text(
        "x INFO spawned: 'api' with pid 1\nx WARN exited: api (terminated by SIGKILL; not expected)\n"
    )
    assert parts.how_it_ended(home, "api") == "terminated by SIGKILL"
    assert parts.how_it_ended(home, "worker") is None


def test_doctor__wrong_settings__are_findings(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEXUS_HOME", str(home.root))
    monkeypatch.setenv("NEXUS_API__PRT", "1")
    monkeypatch.setenv("NEXUS_REDIS__URL", "http://u:hunter2@h")
    assert main(["doctor", "--json"]) == 1
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert answer["problems"] == 2
    assert {finding["name"] for finding in answer["findings"]} == {"setting api.prt", "setting redis.url"}
    assert "hunter2" not in json.dumps(answer)


def test_frame__of_the_lake_fixture__is_readable(lake: Lake) -> None:
    assert pl.DataFrame(lake.read("raw_nexus__events")).height == 1
