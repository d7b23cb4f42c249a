"""What the runtime decides without starting anything: endpoints, external parts, supervisord's configuration."""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus.errors import NexusError
from nexus.runtime import postgres
from nexus.runtime.home import read_json
from nexus.runtime.orchestrator import _closure
from nexus.runtime.parts import MIGRATION, NAMES, all_parts
from nexus.runtime.state import State
from nexus.runtime.supervisor import configuration

pytestmark = pytest.mark.unit


def test_prepare__nothing_set__publishes_every_endpoint_in_the_shape_of_settings(prepare: Callable[..., State]) -> None:
    settings = prepare().settings()
    assert settings.redis.dsn().startswith("redis://:")
    assert settings.temporal.address == "127.0.0.1:17233"
    assert settings.postgres.role_url("api").startswith("postgresql+psycopg://nexus_api:")
    assert settings.api.url == "http://127.0.0.1:8788"


def test_prepare__twice__keeps_passwords_and_ports(prepare: Callable[..., State]) -> None:
    first, second = prepare(), prepare()
    assert (first.secrets, first.ports) == (second.secrets, second.ports)


def test_prepare__url_set_by_a_person__is_external_and_not_published(prepare: Callable[..., State]) -> None:
    made = prepare(NEXUS_REDIS__URL="redis://elsewhere:6379/0")
    parts = {part.name: part for part in all_parts(made)}
    assert parts["redis"].is_external
    assert not parts["postgres"].is_external
    assert "redis" not in read_json(made.home.run / "endpoints.json")
    assert made.settings().redis.dsn() == "redis://elsewhere:6379/0"


def test_all_parts__nothing_set__has_every_name_and_shows_no_secret(prepare: Callable[..., State]) -> None:
    made = prepare()
    parts = all_parts(made)
    assert tuple(part.name for part in parts) == NAMES
    assert not any(
        made.secrets.postgres in (part.url or "") or made.secrets.redis in (part.url or "") for part in parts
    )


def test_configuration__strange_folder__has_one_program_per_part_and_no_secret(
    prepare: Callable[..., State], tmp_path: Path
) -> None:
    made = prepare(NEXUS_HOME=str(tmp_path / "a folder; 100%"))
    text = configuration(made.home, all_parts(made))
    read = configparser.RawConfigParser()
    read.read_string(text)
    assert {f"program:{name}" for name in NAMES} <= set(read.sections())
    assert made.secrets.postgres not in text
    assert read["program:postgres"]["stopsignal"] == "INT"


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (("redis",), {"redis"}),
        (("api",), {"api", "redis", MIGRATION, "postgres"}),
        (("dagster-daemon",), {"dagster-daemon", "dagster-webserver", "dagster-code", MIGRATION, "postgres"}),
        ((), {*NAMES, MIGRATION}),
    ],
)
def test_closure__parts_asked_for__brings_what_they_need(
    prepare: Callable[..., State], only: tuple[str, ...], expected: set[str]
) -> None:
    assert _closure(all_parts(prepare()), only) == expected


def test_closure__unknown_part__lists_the_known_ones(prepare: Callable[..., State]) -> None:
    with pytest.raises(NexusError, match="no such part") as caught:
        _closure(all_parts(prepare()), ("nonsense",))
    assert "postgres" in (caught.value.remedy or "")


def test_run_as__ordinary_user__runs_as_himself(tmp_path: Path) -> None:
    assert postgres.run_as(tmp_path / "data", is_root=False) == postgres.RunAs()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else; NEXUS_TEST_ROOT")
def test_run_as__root_and_open_folder__becomes_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(postgres, "_works", lambda _prefix, _user, _data: True)
    assert postgres.run_as(tmp_path / "data").user == postgres.NOBODY


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else; NEXUS_TEST_ROOT")
def test_run_as__nothing_works__says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(postgres, "_works", lambda _prefix, _user, _data: False)
    with pytest.raises(NexusError, match="does not run as root"):
        postgres.run_as(tmp_path / "data")
