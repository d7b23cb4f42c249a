"""Several networks side by side: the same as one after the other, gone on with after a kill, ended with who started them."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from nexus.errors import NexusError
from nexus.settings import ROOT
from tests.training.sequence.worlds import tiny, walks
from training.dataset import Dataset, leave_out
from training.models_api import quiet
from training.sequence import devices, several, side_by_side
from training.sequence.model import SequenceModel
from training.sequence.several import AverageScorer, Several
from training.sequence.work import Work

CONFIG = tiny(epochs=2)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return walks()


def trained(
    data: Dataset, *, count: int = 2, folder: Path | None = None, lines: list[str] | None = None
) -> AverageScorer:
    split = leave_out(data, last=2, name="validation")
    tell = quiet if lines is None else lines.append
    one = Several(CONFIG, count, folder=folder)
    with one.training(data, split.histories, validation=split, seed=1, budget_s=120.0, tell=tell) as wait:
        return wait()


def weights(scorer: AverageScorer) -> list[np.ndarray]:
    return [value.numpy() for member in scorer.members for value in member.net.state_dict().values()]


@pytest.mark.unit
def test_scores__two_networks__are_the_mean_of_both(data: Dataset) -> None:
    scorer = trained(data)
    split = leave_out(data, last=1, name="test")
    contexts, asked = np.zeros((len(split), 1), np.float32), np.full(len(split), 1e6)
    each = [member.scores(split.histories, contexts) for member in scorer.members]
    assert not np.allclose(*each)
    assert np.allclose(scorer.scores(split.histories, contexts), np.mean(each, axis=0), atol=1e-6)
    assert np.allclose(scorer.scores_at(split.histories, contexts, asked), np.mean(each, axis=0), atol=1e-6)
    assert np.allclose(
        scorer.refit(split.histories).scores(split.histories, contexts), np.mean(each, axis=0), atol=1e-6
    )
    assert len(scorer.settings["networks"]) == 2
    assert scorer.settings["is_time_limited"] is False


@pytest.mark.unit
def test_training__one_of_several__is_the_network_of_its_seed(data: Dataset) -> None:
    split = leave_out(data, last=2, name="validation")
    alone = SequenceModel(CONFIG, threads=1).fit(
        data, split.histories, validation=split, seed=1, budget_s=60.0, tell=quiet
    )
    first = trained(data).members[0]
    for one, other in zip(alone.net.state_dict().values(), first.net.state_dict().values(), strict=True):
        assert (one == other).all()


@pytest.mark.integration
def test_training__in_processes_of_their_own__is_the_same_and_goes_on_from_what_is_there(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = trained(data)
    monkeypatch.setattr(several, "SMALL", 0)
    monkeypatch.setattr(devices, "threads", lambda: 2)
    lines: list[str] = []
    beside = trained(data, folder=tmp_path, lines=lines)
    for one, other in zip(weights(here), weights(beside), strict=True):
        assert (one == other).all()
    assert {line.partition(":")[0] for line in lines} == {"network 1 of 2", "network 2 of 2"}
    assert beside.settings["curve"][-1]["loss"] == pytest.approx(here.settings["curve"][-1]["loss"])

    monkeypatch.setattr(side_by_side.SideBySide, "_next", lambda _: None)  # nothing can be started any more
    again = trained(data, folder=tmp_path)
    assert all((one == other).all() for one, other in zip(weights(beside), weights(again), strict=True))


@pytest.mark.integration
def test_training__process_that_fails__is_one_error_and_ends_the_other(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(several, "SMALL", 0)
    monkeypatch.setattr(devices, "threads", lambda: 2)
    (tmp_path / "network-2").write_text("a file where the folder should be")
    with pytest.raises(NexusError, match="a training process has failed"):
        trained(data, folder=tmp_path)
    assert not [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.integration
def test_training__checkpoint_of_another_seed__is_refused_before_anything_starts(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(several, "SMALL", 0)
    monkeypatch.setattr(devices, "threads", lambda: 2)
    split = leave_out(data, last=2, name="validation")
    model = SequenceModel(CONFIG, threads=1, folder=tmp_path / "network-1")
    model.fit(data, split.histories, validation=split, seed=2, budget_s=60.0, tell=quiet)
    with pytest.raises(NexusError, match="checkpoint of another training"):
        trained(data, folder=tmp_path)


@pytest.mark.unit
def test_training__beside_the_block__has_the_time_of_that(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    class Noted:
        def __init__(self, works: list[Work], *_: object) -> None:
            given.extend(work.budget_s for work in works)

        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(several, "SMALL", 0)
    monkeypatch.setattr(several, "SideBySide", Noted)
    monkeypatch.setattr(devices, "threads", lambda: 2)
    split = leave_out(data, last=2, name="validation")
    for beside_s in (None, 90.0):
        with Several(CONFIG, 3).training(
            data, split.histories, validation=split, seed=1, budget_s=60.0, beside_s=beside_s, tell=quiet
        ):
            pass
    assert given == [30.0] * 3 + [45.0] * 3


ENDLESS = """
import sys
from functools import partial
from pathlib import Path

from training.dataset import leave_out
from training.files.reading import load_path
from training.sequence import several
from training.sequence.config import SequenceConfig
from training.sequence.several import Several

several.SMALL = 0
if __name__ == "__main__":
    data = load_path(Path(sys.argv[1])).dataset
    split = leave_out(data, last=2, name="validation")
    one = Several(SequenceConfig(width=16, length=8, epochs=1_000_000, patience=1_000_000, validate_every=1), 1)
    tell = partial(print, flush=True)
    with one.training(data, split.histories, validation=split, seed=1, budget_s=1e6, tell=tell) as wait:
        wait()
"""


@pytest.mark.integration
def test_training__who_started_it_is_killed__the_process_ends_too(tmp_path: Path) -> None:
    if devices.threads() == 1:
        pytest.skip("with one core no process is started")
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    ratings = tmp_path / "walks.txt"
    ratings.write_text("".join(f"{viewer} {(viewer + step) % 9}\n" for viewer in range(30) for step in range(8)))
    parent = subprocess.Popen(
        [sys.executable, str(script), str(ratings)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert parent.stdout is not None
    assert parent.stdout.readline().startswith("network 1 of 1: epoch 1 ")
    children = psutil.Process(parent.pid).children()
    assert any("spawn_main" in " ".join(child.cmdline()) for child in children)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=30)
    for child in alive:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    assert not alive


@pytest.mark.unit
def test_average__one_network_was_ended_by_the_clock__all_count_as_limited(data: Dataset) -> None:
    scorer = trained(data)
    second = replace(scorer.members[1], settings=scorer.members[1].settings | {"is_time_limited": True})
    assert several._average([scorer.members[0], second]).settings["is_time_limited"] is True
