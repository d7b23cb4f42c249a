import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from pydantic import BaseModel

from nexus import settings as module
from nexus import settings_rules
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


def _problems(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], toml: str = "") -> dict[str, str]:
    """Field -> reason of everything that is named for these sources."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if toml:
        (Path(module.os.environ["NEXUS_HOME"]) / "settings.toml").write_text(toml)
    with pytest.raises(NexusError) as caught:
        load()
    assert caught.value.remedy
    return {problem["field"]: problem["reason"] for problem in caught.value.evidence["problems"]}


@pytest.mark.parametrize(
    ("variables", "toml", "field", "reason"),
    [
        ({"NEXUS_API__PRT": "1"}, "", "api.prt", "did you mean api.port?"),
        ({"NEXUS_TRAINIG__SEEDS": "[1]"}, "", "NEXUS_TRAINIG__SEEDS", "did you mean NEXUS_TRAINING__SEEDS?"),
        ({"NEXUS_COLOUR": "red"}, "", "NEXUS_COLOUR", "no such setting"),
        ({}, "[redis]\nprot = 3", "redis.prot", "did you mean redis.port?"),
        ({}, "colour = 3", "colour", "no such setting"),
        ({"NEXUS_TRAINING__SEEDS": "[1,"}, "", "training.seeds", "valid tuple"),
        ({"NEXUS_TRAINING__SEEDS": "[]"}, "", "training.seeds", "at least"),
        ({"NEXUS_REDIS__URL": "http://host:1"}, "", "redis.url", "redis://host:port"),
        ({"NEXUS_POSTGRES__URL": "postgresql://"}, "", "postgres.url", "postgresql://host:port"),
        ({"NEXUS_MLFLOW__URL": "http://h:99999"}, "", "mlflow.url", "http://host:port"),
        ({"NEXUS_TEMPORAL__ADDRESS": "http://h:1"}, "", "temporal.address", "no scheme"),
        ({"NEXUS_TEMPORAL__ADDRESS": ""}, "", "temporal.address", "host:port"),
        ({"NEXUS_LAKE__URL": "ftp://h/x"}, "", "lake.url", "neither a folder"),
        ({"NEXUS_LAKE__SPARK_URL": "spark://h:1"}, "", "lake.spark_url", "sc://"),
        ({"NEXUS_LAKE__SPARK_URL": "sc://far:1", "NEXUS_LAKE__URL": "/data"}, "", "lake.url", "another machine"),
        ({"NEXUS_SERVING__BUNDLE_URL": "s3://b/x"}, "", "serving.bundle_url", "a folder"),
        ({"NEXUS_REDIS__PORT": "9000"}, "[mlflow]\nport = 9000", "mlflow.port", "same port as"),
        ({"NEXUS_POSTGRES__MLFLOW_DATABASE": "dagster"}, "", "postgres.mlflow_database", "same database"),
        ({"NEXUS_PROFILE": "cluster"}, "", "postgres.url", "cluster profile"),
        ({"NEXUS_PROFILE": "cluster"}, "", "postgres.role_passwords", "cluster profile"),
        ({"NEXUS_TRAINING__PRECISION": "16-mixed"}, "", "training.precision", "needs a GPU"),
        ({"NEXUS_TRAINING__GPUS": "1"}, "", "training.gpus", "cpu"),
        ({"NEXUS_ALERTS__WEBHOOK_SECRET": "x"}, "", "alerts.webhook_secret", "webhook_url is not"),
        ({"NEXUS_ALERTS__WEBHOOK_URL": "ftp://x"}, "", "alerts.webhook_url", "http"),
        ({"NEXUS_CARE__RETAIN_DAYS": "-1"}, "", "care.retain_days", "greater than or equal"),
    ],
)
def test_load__one_thing_wrong__is_named_with_what_is_right(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], toml: str, field: str, reason: str
) -> None:
    assert reason in _problems(monkeypatch, variables, toml)[field]


def test_load__types_names_and_contradictions_from_both_sources__are_named_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = _problems(
        monkeypatch,
        {"NEXUS_API__PORT": "http", "NEXUS_FOO": "1", "NEXUS_REDIS__PORT": "9000"},
        'profile = "moon"\n[mlflow]\nport = 9000\n[lake]\ncolour = 1\n[dagster]\nurl = "ftp://x"',
    )
    assert set(found) == {"api.port", "NEXUS_FOO", "profile", "mlflow.port", "lake.colour", "dagster.url"} | (
        {"redis.port"} & set(found)
    )


@pytest.mark.parametrize("text", ["x = ", "\x00", "[a]\n[a]"])
def test_load__broken_toml__is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.toml").write_text(text)
    with pytest.raises(NexusError) as caught:
        load()
    assert caught.value.field == "settings.toml"
    assert caught.value.remedy


@pytest.mark.parametrize("text", ["[]", "not json", '{"future": {"x": 1}, "redis": {"colour": 1}, "api": 3}'])
def test_load__endpoints_of_another_version__are_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "endpoints.json").write_text(text)
    assert load().redis.url is None


@pytest.mark.parametrize("name", ["NEXUS_PART", "NEXUS_TEST_X", "NEXUS_NO_SKIP", "nexus_log_level", "NEXUSES"])
def test_load__names_that_are_ours__are_no_mistakes(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "INFO")
    load()


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    field=st.sampled_from(sorted(settings_rules.leaves(Settings))),
    value=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=40),
)
def test_load__any_text_in_any_setting__is_taken_or_named_and_secrets_stay_hidden(field: str, value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if field == "home":
            return
        secret = f"hunter2-{value}"
        patch.setenv(settings_rules.variable(field), secret if settings_rules.is_secret(field) else value)
        said = _said()
    if said is not None:
        assert field.split(".", maxsplit=1)[0] in {problem["field"].split(".")[0] for problem in said["problems"]}
        assert not settings_rules.is_secret(field) or "hunter2" not in str(said)


def _said() -> dict[str, Any] | None:
    """What the error says; None: the settings are right."""
    try:
        load()
    except NexusError as error:
        return error.as_dict() | {"text": str(error)}
    return None
