"""One platform through every fault, in the order in which the tests stand: nothing is lost, doubled or half-written, and
what is on the screen tells what to do. About four minutes on two quiet cores; every part in every step: test_matrix.py.
"""

from __future__ import annotations

import json
import shutil

import pytest

from tests.faults import check
from tests.faults.disk import small_disk
from tests.faults.platform import KillInStep, Platform, until
from tests.faults.steps import CANDIDATE, send_ratings
from tests.faults.workflows import ingest, promote
from tests.marks import exhaustive

pytestmark = pytest.mark.slow
# Each part once, each step once; the first `up` of the platform meets them all.
KILLS = {
    "raw_movielens__ratings": "redis",
    "core_movielens__ratings": "dagster-webserver",
    "marts_nexus__interactions": "dagster-daemon",
    "features_nexus__viewer": "temporal",
    "feast_online__recommender": "api",
    "content_embeddings": "postgres",
    CANDIDATE: "dagster-code",
    "model_recommender__champion": "worker",
}
DERIVED = ("core_movielens__ratings", "marts_nexus__interactions", "features_nexus__viewer", "training_nexus__examples")


def test_first_up__two_at_once_and_a_part_dies_in_each_step__ends_with_a_champion(platform: Platform) -> None:
    first = platform.start("up")
    assert until((platform.home / "run" / "lock").exists)
    code, said = platform.nexus("up")
    assert code != 0
    assert "another `nexus up` is at work" in said
    assert "remedy" in said
    assert until(lambda: first.poll() is not None or platform.has_event_log(), pause_s=0.2)
    killers = [
        KillInStep(platform, step, part, after_s=2.0 if step == CANDIDATE else 0.1) for step, part in KILLS.items()
    ]
    said, code = first.communicate(timeout=1200)[0], 0
    assert "Traceback" not in said, said
    if first.returncode:
        assert "remedy" in said, said
        code, said = platform.nexus("up")  # the rest of the killers may wait for it
    if code:
        platform.well("up")
    for killer in killers:
        killer.join()
    assert [killer.part for killer in killers if killer.killed_pid is None] == []
    check.all_well(platform)
    assert platform.champion().version
    assert platform.unfinished_models() == []


def test_tables__made_again_without_a_fault__are_the_same(platform: Platform) -> None:
    before = platform.hashes()
    assert set(DERIVED) < set(before)
    for table in DERIVED:
        shutil.rmtree(platform.home / "lake" / table)
    assert platform.run(DERIVED).is_success
    assert platform.hashes() == before


def test_tables__one_made_anew_from_more_rows__is_followed_by_what_is_made_from_it(platform: Platform) -> None:
    viewers = platform.lake().count("features_nexus__viewer")
    version = platform.lake().version("marts_nexus__interactions")
    shutil.rmtree(platform.home / "lake" / "marts_nexus__interactions")
    send_ratings(platform)
    changed = ("raw_nexus__events", "core_nexus__events", "marts_nexus__interactions", "features_nexus__viewer")
    assert platform.run(changed).is_success
    assert platform.lake().version("marts_nexus__interactions") == version  # by this number alone nothing has changed
    assert platform.lake().count("features_nexus__viewer") == viewers + 1


def test_ingest__worker_dies_in_the_middle__completes_once(platform: Platform) -> None:
    before = check.Before.of(platform)
    assert ingest(platform, "worker")[0]
    check.nothing_lost(platform, before)


def test_promotion__mlflow_dies_in_the_middle__one_champion(platform: Platform) -> None:
    before = check.Before.of(platform)
    promote(platform, "mlflow")
    check.nothing_lost(platform, before)


def test_supervisor__killed__doctor_says_so_and_up_mends_it(platform: Platform) -> None:
    platform.kill("supervisor")
    assert _remedy(platform, "supervisor", "gone, while") == "run bin/nexus up, which puts them under a new one"
    platform.well("up", "--no-pipeline")
    check.all_well(platform)


def test_reboot__with_a_damaged_model_journal_and_cache__up_goes_on(platform: Platform) -> None:
    before = check.Before.of(platform)
    accepted = send_ratings(platform)
    stale = (platform.home / "run" / "supervisord.pid").read_text()
    assert platform.kill_all() > 8
    assert (platform.home / "run" / "supervisord.pid").read_text() == stale
    _reuse_pids(platform)
    model = platform.champion().model_path
    model.write_bytes(model.read_bytes()[:-1000])
    (sentence,) = (platform.home / "models").glob("*.onnx")
    sentence.write_bytes(b"\0" * 1000)
    journal = next((platform.home / "redis").rglob("*.aof"))
    with journal.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$9\r\nunfin")  # a write that the power cut short

    assert "run bin/nexus up" in _remedy(platform, "supervisor", "everything ended at once")
    assert "bin/nexus up" in _remedy(platform, "champion model", "SHA-256")
    assert "--fix" in _remedy(platform, "sentence model", "damaged")
    said = platform.well("up")
    assert "fetched from the registry again" in said or "was fetched from the registry" in said
    platform.well("doctor", "--fix")
    assert platform.doctor(but={"alerts"}) == []
    ran = platform.well("pipeline", "run", "--job", "events")
    assert "raw_nexus__events" in ran
    assert accepted <= set(check.event_ids(platform))
    check.nothing_lost(platform, before, is_same=False)


@exhaustive
def test_journal__damaged_in_the_middle__is_cut_where_it_stops_making_sense(platform: Platform) -> None:
    platform.well("pipeline", "run", "--job", "events")
    platform.well("down")
    journal = next((platform.home / "redis").rglob("*.aof"))
    data = bytearray(journal.read_bytes())
    at = data.index(b"\r\n*", len(data) * 2 // 3) + 2
    data[at : at + 40] = b"\xff" * 40
    journal.write_bytes(data)
    code, said = platform.nexus("up", "--no-pipeline")
    assert code != 0
    assert "redis" in said
    assert "bin/nexus doctor" in said
    platform.well("down")
    assert "--fix" in _remedy(platform, "redis journal", "damaged")
    platform.nexus("doctor", "--fix")
    assert list(journal.parent.glob("*.damaged-*")) != []
    before = check.Before.of(platform)
    platform.well("up", "--no-pipeline")
    send_ratings(platform)
    platform.well("pipeline", "run", "--job", "events")
    check.nothing_lost(platform, before, is_same=False)


@exhaustive
def test_down_during_up_and_up_during_down__each_ends_in_words(platform: Platform) -> None:
    platform.well("down")
    up = platform.start("up")
    assert until(lambda: "postgres" in platform.processes())
    platform.well("down")
    said = up.communicate(timeout=300)[0]
    assert "Traceback" not in said
    assert up.returncode != 0
    assert "interrupted" in said
    assert platform.processes() == {}
    platform.well("up")
    down = platform.start("down")
    assert until(lambda: down.poll() is not None or "at work" in platform.nexus("doctor")[1])
    platform.nexus("up")
    assert down.communicate(timeout=300)[0].count("stopped") == 1
    platform.well("up")
    check.all_well(platform)


@exhaustive
def test_full_disk__under_the_lake__is_named_and_the_run_goes_on_when_there_is_space(platform: Platform) -> None:
    platform.well("pipeline", "run")
    before = check.Before.of(platform)
    with small_disk(platform.home / "lake") as disk:
        disk.fill()
        shutil.rmtree(platform.home / "lake" / "marts_nexus__interactions")
        disk.fill()
        code, said = platform.nexus("pipeline", "run")
        assert code != 0, said
        assert "remedy" in said
        assert "No space left" in said or "space" in said.lower(), said
        assert "free some space" in _remedy(platform, "disk of the lake", "nearly full")
        disk.empty()
        platform.well("pipeline", "run")
        check.nothing_lost(platform, before)
        platform.well("down")


def test_clean__after_all_of_it__nothing_is_left_running(platform: Platform) -> None:
    platform.well("up")
    check.all_well(platform)
    assert platform.doctor(but={"alerts"}) == []
    platform.well("down")
    assert platform.processes() == {}
    assert json.loads(platform.nexus("status", "--json")[1])["parts"][0]["state"] == "stopped"


def _remedy(platform: Platform, name: str, word: str) -> str:
    """What doctor says to do about a fault that it has to name."""
    found = [finding for finding in platform.doctor() if finding["name"] == name]
    assert len(found) == 1, platform.doctor()
    assert word in found[0]["said"]
    return str(found[0]["remedy"])


def _reuse_pids(platform: Platform) -> None:
    """Pid files that now name a living stranger, as after a reboot."""
    (platform.home / "run" / "supervisord.pid").write_text("1\n")
    pid_file = platform.home / "postgres" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join(["1", *lines[1:]]) + "\n")
