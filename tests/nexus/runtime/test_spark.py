"""The JVM engine as a part: when it is one, how it is started, and what is said when it cannot be."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus.errors import Category, NexusError
from nexus.runtime import spark, spark_jars
from nexus.runtime.parts import all_parts
from nexus.runtime.state import State

pytestmark = pytest.mark.unit


def test_parts__nothing_set__there_is_no_spark(prepare: Callable[..., State]) -> None:
    made = prepare()
    assert "spark" not in {part.name for part in all_parts(made)}
    assert not made.settings().lake.is_jvm


def test_parts__engine_jvm__is_a_part_on_loopback_and_published(prepare: Callable[..., State]) -> None:
    made = prepare(NEXUS_LAKE__ENGINE="jvm", NEXUS_LAKE__SPARK_PORT="15777")
    part = {part.name: part for part in all_parts(made)}["spark"]
    assert (part.url, part.is_external) == ("sc://127.0.0.1:15777", False)
    assert made.settings().lake.spark_url == "sc://127.0.0.1:15777"
    assert made.settings().lake.is_jvm


@pytest.mark.parametrize(("engine", "is_jvm"), [(None, True), ("jvm", True), ("sail", False)])
def test_parts__a_url_of_a_person__is_external(prepare: Callable[..., State], engine: str | None, is_jvm: bool) -> None:
    more = {"NEXUS_LAKE__ENGINE": engine} if engine else {}
    made = prepare(NEXUS_LAKE__SPARK_URL="sc://far:15002/;token=abc", NEXUS_LAKE__URL="s3://b/l", **more)
    part = {part.name: part for part in all_parts(made)}["spark"]
    assert part.is_external
    assert "abc" not in (part.url or "")
    assert "spark" not in made.ports
    assert made.settings().lake.is_jvm is is_jvm


def test_java__none__says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NexusError, match="there is no java") as caught:
        spark.java()
    assert caught.value.category is Category.UNAVAILABLE
    assert "JAVA_HOME" in (caught.value.remedy or "")


def test_java__too_old__is_named_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(NexusError, match="is Java 11"):
        spark.java()


def test_jars__no_maven_and_none_fetched__says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_jars, "_FETCHED", tmp_path / "jars")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NexusError, match="no mvn") as caught:
        spark_jars.jars()
    assert "lake.spark_jars" in (caught.value.remedy or "")
    assert list(tmp_path.iterdir()) == []


def test_jars__seven_are_pinned_and_every_one_is_in_the_recipe() -> None:
    wanted = spark_jars.pinned()
    recipe = (spark_jars._RECIPE / "pom.xml").read_text()
    assert len(wanted) == 7
    assert all(f"<artifactId>{name.rpartition('-')[0]}</artifactId>" in recipe for name in wanted)


@pytest.mark.parametrize("fault", ["missing", "other"])
def test_check__a_jar_that_is_not_the_pinned_one__is_named(tmp_path: Path, fault: str) -> None:
    wanted = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("a.jar", "b.jar")}
    for name in wanted:
        (tmp_path / name).write_text(name)
    spark_jars.check(tmp_path, wanted)
    if fault == "missing":
        (tmp_path / "b.jar").unlink()
    else:
        (tmp_path / "b.jar").write_text("evil")
    with pytest.raises(NexusError) as caught:
        spark_jars.check(tmp_path, wanted)
    assert (caught.value.field, caught.value.value) == ("lake.spark_jars", str(tmp_path / "b.jar"))
