import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from nexus import settings as module
from nexus.errors import NexusError
from nexus.settings import Settings, load

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path))


def _leaves(model: type[BaseModel], prefix: str = "NEXUS_") -> set[str]:
    names: set[str] = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= _leaves(kind, f"{prefix}{name.upper()}__")
        else:
            names.add(f"{prefix}{name.upper()}")
    return names


def test_load__nothing_set__is_embedded_and_on_loopback(tmp_path: Path) -> None:
    settings = load()
    assert settings.profile == "embedded"
    assert settings.api.host == "127.0.0.1"
    assert settings.home == tmp_path
    assert settings.lake_url == str(tmp_path / "lake")


def test_load__endpoints_file_and_environment__environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "endpoints.json").write_text(
        json.dumps({"redis": {"url": "redis://127.0.0.1:1/0"}, "mlflow": {"url": "http://127.0.0.1:2"}})
    )
    monkeypatch.setenv("NEXUS_REDIS__URL", "redis://other:6379/0")
    settings = load()
    assert settings.redis.dsn() == "redis://other:6379/0"
    assert settings.mlflow.url == "http://127.0.0.1:2"


def test_load__several_wrong__all_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_API__PORT", "http")
    monkeypatch.setenv("NEXUS_PROFILE", "moon")
    monkeypatch.setenv("NEXUS_REDIS__COLOUR", "red")
    with pytest.raises(NexusError) as caught:
        load()
    fields = {problem["field"] for problem in caught.value.evidence["problems"]}
    assert fields == {"api.port", "profile", "redis.colour"}


def test_load__wrong_secret__is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_POSTGRES__ROLE_PASSWORDS", '{"king": "hunter2"}')
    with pytest.raises(NexusError) as caught:
        load()
    assert "hunter2" not in str(caught.value)


def test_load__placeholder_in_cluster__is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_PROFILE", "cluster")
    monkeypatch.setenv("NEXUS_POSTGRES__ROLE_PASSWORDS", '{"api": "change-me"}')
    with pytest.raises(NexusError, match="placeholder"):
        load()


def test_role_url__strange_password__is_quoted() -> None:
    settings = load(
        postgres={"url": "postgresql://owner:o@h:5/nexus?sslmode=require", "role_passwords": {"api": "a/b@c"}}
    )
    assert settings.postgres.role_url("api") == "postgresql+psycopg://nexus_api:a%2Fb%40c@h:5/nexus?sslmode=require"
    assert settings.postgres.owner_url(driver="", database="feast") == "postgresql://owner:o@h:5/feast?sslmode=require"


def test_env_example__and_settings__name_the_same_variables() -> None:
    lines = (module.ROOT / ".env.example").read_text().splitlines()
    listed = {line.lstrip("# ").split("=")[0] for line in lines if "=" in line and "NEXUS_" in line}
    assert listed == _leaves(Settings)
