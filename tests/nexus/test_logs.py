"""A log line is one JSON object with part and trace, and without secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus import logs, telemetry
from nexus.settings import Settings

pytestmark = pytest.mark.unit

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "logs" / "part.log"
    with logs.to_file(path, part="worker", level="DEBUG"):
        yield path


@pytest.fixture(autouse=True)
def _traced(tmp_path: Path) -> Iterator[None]:
    traced = telemetry.configure(Settings(home=tmp_path), "test")
    yield
    traced.close()


def _read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_line__within_a_span__names_trace_span_and_part(lines: Path) -> None:
    with telemetry.attach(PARENT), telemetry.span("work") as span:
        logs.get("nexus.x").info("title_stored", title_id="7")
    (line,) = _read(lines)
    assert line["trace_id"] == PARENT.split("-")[1]
    assert line["span_id"] == f"{span.get_span_context().span_id:016x}"
    assert {key: line[key] for key in ("event", "part", "level", "logger", "title_id")} == {
        "event": "title_stored",
        "part": "worker",
        "level": "info",
        "logger": "nexus.x",
        "title_id": "7",
    }


def test_line__outside_of_a_span__names_no_trace(lines: Path) -> None:
    logs.get("nexus.x").info("started")
    (line,) = _read(lines)
    assert "trace_id" not in line


def test_line__of_a_library__has_the_trace_and_no_secret(lines: Path) -> None:
    with telemetry.attach(PARENT):
        logging.getLogger("some.library").warning("cannot reach %s", "postgresql://nexus:hunter2@h/db")
    (line,) = _read(lines)
    assert line["event"] == "cannot reach postgresql://(hidden)@h/db"
    assert line["trace_id"] == PARENT.split("-")[1]


def test_line__of_an_exception__has_the_traceback_and_no_secret(lines: Path) -> None:
    def refuse() -> None:
        raise ConnectionError("redis://:hunter2@h/0 refused, password=hunter2")

    try:
        refuse()
    except ConnectionError as error:
        logs.get("nexus.x").error("store_away", exc_info=error, dsn="redis://:hunter2@h/0", nested={"token": "hunter2"})
    text = lines.read_text()
    assert "hunter2" not in text
    (line,) = _read(lines)
    assert "ConnectionError" in str(line["exception"])
    assert (line["dsn"], line["nested"]) == ("(hidden)", {"token": "(hidden)"})


def test_to_file__full_disk__does_not_end_what_is_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    (tmp_path / "folder.log").mkdir()  # opening it for writing fails, as it does on a full disk
    with logs.to_file(tmp_path / "folder.log", part="worker"):
        logs.get("nexus.x").info("goes_on")
    assert "goes_on" not in capsys.readouterr().out


def test_configure__json__writes_one_object_a_line_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    try:
        logs.configure(part="api", json=True)
        logs.get("nexus.y").warning("rung_failed", rung="champion", url="http://u:hunter2@h")
    finally:
        root.handlers, root.level = before, level
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (line["part"], line["event"], line["url"]) == ("api", "rung_failed", "http://(hidden)@h")
