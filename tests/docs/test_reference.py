from __future__ import annotations

from collections.abc import Mapping

import pytest
from typer.main import get_command

from nexus.cli.main import build_app
from nexus.events import EventType
from nexus.lake.catalogue import TABLES
from nexus.reference import settings
from serving.app import create_app

pytestmark = pytest.mark.integration


def test_settings_page__every_value__has_its_variable_and_a_meaning(reference: Mapping[str, str]) -> None:
    found = list(settings.leaves())
    assert [leaf.name for leaf in found if f"`{leaf.variable}`" not in reference["settings.md"]] == []
    assert [leaf.name for leaf in found if not leaf.meaning] == []


def test_settings_page__types__are_words_for_people(reference: Mapping[str, str]) -> None:
    for foreign in ("typing.", "pydantic", "<class", "~"):
        assert foreign not in reference["settings.md"]


def test_tables_page__every_column__has_a_meaning(reference: Mapping[str, str]) -> None:
    page = reference["tables.md"]
    assert [name for name in TABLES if f"\n## {name}\n" not in page] == []
    assert [
        f"{name}.{column}" for name, table in TABLES.items() for column in table.schema.names if not table.doc(column)
    ] == []


def test_events_page__every_type__is_there(reference: Mapping[str, str]) -> None:
    assert [kind for kind in EventType if f"`{kind}`" not in reference["events.md"]] == []


def test_api_page__every_route__is_there_with_its_answers(reference: Mapping[str, str]) -> None:
    page = reference["api.md"]
    for path, verbs in create_app().openapi()["paths"].items():
        for verb, operation in verbs.items():
            _, _, section = page.partition(f"\n## {verb.upper()} {path}\n")
            section = section.partition("\n## ")[0]
            assert section, f"{verb} {path}"
            assert [status for status in operation["responses"] if f"| {status} |" not in section] == []


def test_commands_page__every_command__is_there_without_markup(reference: Mapping[str, str]) -> None:
    page = reference["commands.md"]
    names = [name for name, command in get_command(build_app()).commands.items() if not command.hidden]  # type: ignore[attr-defined]
    assert [name for name in names if f"`bin/nexus {name}`" not in page] == []
    assert "[bold]" not in page
