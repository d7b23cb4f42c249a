"""``docs``: the reference, made from the code that it describes.

Belongs here: which pages there are, where they go. Does not belong here: what a page says (nexus.reference; the API's
page belongs to serving and is found by name).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from nexus.cli.output import console
from nexus.reference import commands, events, markdown, settings, tables
from nexus.settings import ROOT

FOLDER = ROOT / "docs" / "reference"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command("docs", epilog="Examples:  bin/nexus docs  |  bin/nexus docs --out /tmp/reference")
    def write_reference(
        out: Annotated[Path, typer.Option("--out", help="Folder for the pages.", file_okay=False)] = FOLDER,
    ) -> None:
        """Write the reference (settings, tables, events, API, commands) as Markdown, from the code itself."""
        written = write(out, pages(app))
        console().print(
            f"{len(written)} pages in {out}:\n  " + "\n  ".join(path.name for path in written), markup=False
        )


def pages(app: typer.Typer) -> Mapping[str, Callable[[], str]]:
    """Every page by file name."""
    return {
        "settings.md": settings.render,
        "tables.md": tables.render,
        "events.md": events.render,
        "api.md": _api,
        "commands.md": lambda: commands.render(app),
    }


def write(out: Path, made: Mapping[str, Callable[[], str]]) -> list[Path]:
    """Write every page, and one that lists them."""
    out.mkdir(parents=True, exist_ok=True)
    texts = {name: render() for name, render in made.items()}
    rows = [(f"[{name.removesuffix('.md')}]({name})",) for name in texts]
    texts["index.md"] = markdown.page("Reference", "the code", markdown.table(("page",), rows))
    for name, text in texts.items():
        (out / name).write_text(text)
    return [out / name for name in texts]


def _api() -> str:
    app = importlib.import_module("serving.app").create_app()
    text: str = importlib.import_module("serving.reference.markdown").render(app.openapi())
    return text
