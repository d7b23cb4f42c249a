"""gorse (v0.4.16) as a peer: built from its Go module, started, loaded, and asked through its REST API.

Belongs here: the program, its configuration, loading and asking. Does not belong here: figures (benchmarks.recommenders,
benchmarks.cached_gorse).

Built on first use into ``.nexus/bench`` (minutes, needs Go): ``go.mod`` here repeats upstream's replacements, which ``go install`` would
refuse, and ``go.sum`` is upstream's own, tidied. The configuration is gorse's defaults but for what is written below: SQLite stores, two jobs,
a look for stale lists every 15 s instead of each minute, and exact search instead of its approximate index.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.peers.environment import ROOT
from training.dataset import Dataset
from training.tasks import Task

HERE = Path(__file__).parent
BINARY = ROOT / ".nexus" / "bench" / "gorse-in-one"
VERSION = "0.4.16"
PORT, MASTER_PORT = 18_088, 18_086
AT_ONCE = 1_000
READY_S, PERSONAL_S, STILL_S = 60.0, 900.0, 45.0
KINDS = {
    "gorse-factors": "enable_collaborative_recommend = true\nenable_user_based_recommend = false",
    "gorse-users": "enable_collaborative_recommend = false\nenable_user_based_recommend = true",
}
"""Recommenders: matrix factorisation (BPR), which is gorse's default, or user neighbours."""
_CONFIG = """
[database]
cache_store = "sqlite://{folder}/cache.db"
data_store = "sqlite://{folder}/data.db"
[master]
host = "127.0.0.1"
port = {master_port}
http_host = "127.0.0.1"
http_port = {port}
n_jobs = {jobs}
[recommend.data_source]
positive_feedback_types = ["like"]
read_feedback_types = ["read"]
[recommend.user_neighbors]
neighbor_type = "related"
enable_index = false
[recommend.item_neighbors]
enable_index = false
[recommend.collaborative]
enable_index = false
[recommend.offline]
check_recommend_period = "15s"
{kind}
"""


@dataclass(frozen=True)
class Lists:
    """What gorse recommends.

    Attributes:
        tops: Ten titles for each test row, best first; 0 for a title that the data lack.
        seconds: From the end of loading until the last viewer had a list of their own.
        about: Settings and times.
    """

    tops: list[list[int]]
    seconds: float
    about: dict[str, Any]


def build() -> Path:
    """The program; ends the process with a word when it cannot be built."""
    wanted = hashlib.sha256((HERE / "go.mod").read_bytes() + (HERE / "go.sum").read_bytes()).hexdigest()
    stamp = BINARY.with_suffix(".wanted")
    if BINARY.is_file() and stamp.is_file() and stamp.read_text() == wanted:
        return BINARY
    print("building gorse (some minutes, once)", file=sys.stderr, flush=True)
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    package = "github.com/zhenghaoz/gorse/cmd/gorse-in-one"
    try:
        subprocess.run(["go", "build", "-mod=readonly", "-o", str(BINARY), package], cwd=HERE, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"gorse could not be built: {error}; it needs Go 1.26 and its module proxy")
    stamp.write_text(wanted)
    return BINARY


@contextmanager
def running(kind: str, jobs: int) -> Iterator[httpx.Client]:
    """Gorse with empty stores, and a client of it; both end with the block."""
    program = build()
    with tempfile.TemporaryDirectory(prefix="nexus-gorse-") as name:
        config = Path(name) / "config.toml"
        config.write_text(_CONFIG.format(folder=name, port=PORT, master_port=MASTER_PORT, jobs=jobs, kind=KINDS[kind]))
        words = [str(program), "-c", str(config), "--cache-path", f"{name}/one.data", "--recommend-jobs", str(jobs)]
        with (Path(name) / "log").open("wb") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log)
            try:
                with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=120, trust_env=False) as client:
                    _wait_until(lambda: _is_alive(client), READY_S, "gorse did not start")
                    yield client
            finally:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()


def load(client: httpx.Client, dataset: Dataset, task: Task) -> None:
    """Titles, viewers, and what may be learned from; the last of it starts a fit."""
    titles, viewers = dataset.vocabulary[1:], task.viewers
    for start in range(0, len(titles), AT_ONCE):
        items = [{"ItemId": title, "Timestamp": _time(0.0)} for title in titles[start : start + AT_ONCE]]
        client.post("/api/items", json=items).raise_for_status()
    for start in range(0, len(viewers), AT_ONCE):
        users = [{"UserId": viewer} for viewer in viewers[start : start + AT_ONCE]]
        client.post("/api/users", json=users).raise_for_status()
    table = io.StringIO()
    for viewer, history in zip(viewers, task.test.histories, strict=True):
        for place, (item, at_s) in enumerate(zip(history.items.tolist(), history.at_s.tolist(), strict=True)):
            table.write(f"like,{viewer},{dataset.vocabulary[item]},{_time(at_s or float(place))}\n")
    client.post(
        "/api/bulk/feedback",
        data={"has-header": "false", "sep": ",", "format": "fuit"},
        files={"file": ("feedback.csv", table.getvalue())},
        timeout=600,
    ).raise_for_status()


def wait_until_personal(client: httpx.Client, viewers: tuple[str, ...], within_s: float = PERSONAL_S) -> float:
    """Seconds until every viewer has a list that was made for them, and lists have stopped changing.

    gorse makes lists before its model is fitted, and makes them again afterwards: so they have to be the same for
    :data:`STILL_S` seconds, three of its looks for stale ones.
    """
    began, changed = time.monotonic(), time.monotonic()
    known: list[list[Any]] = []

    def is_still() -> bool:
        nonlocal known, changed
        found = [client.get(f"/api/intermediate/recommend/{viewer}", params={"n": 10}).json() for viewer in viewers]
        if found != known or not all(found):
            known, changed = found, time.monotonic()
        return time.monotonic() - changed > STILL_S

    _wait_until(is_still, within_s, f"gorse's lists for {len(viewers)} viewers were not done", every_s=10.0)
    return changed - began


def lists(name: str, dataset: Dataset, task: Task, jobs: int, tell: Callable[[str], None]) -> Lists:
    """Load what may be learned from for the test, wait, ask for ten titles each."""
    index = {title: place for place, title in enumerate(dataset.vocabulary)}
    with running(name, jobs) as client:
        began = time.monotonic()
        load(client, dataset, task)
        loading = time.monotonic() - began
        tell(f"{name}: loaded in {loading:.0f} s")
        seconds = wait_until_personal(client, task.viewers)
        tell(f"{name}: lists for all viewers after {seconds:.0f} s more")
        tops = [
            [index.get(title, 0) for title in client.get(f"/api/recommend/{viewer}", params={"n": 10}).json()]
            for viewer in task.viewers
        ]
    settings = {"version": VERSION, "kind": KINDS[name], "jobs": jobs, "feedback": "every rating is a like"}
    return Lists(tops, round(seconds, 1), {"settings": settings, "loading_seconds": round(loading, 1)})


def _is_alive(client: httpx.Client) -> bool:
    try:
        return client.get("/api/health/live").is_success
    except httpx.TransportError:
        return False


def _wait_until(is_so: Callable[[], bool], within_s: float, words: str, every_s: float = 0.5) -> None:
    until = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > until:
            sys.exit(f"{words} within {within_s:g} s")
        time.sleep(every_s)


def _time(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
