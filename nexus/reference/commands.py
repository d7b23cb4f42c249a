"""The page of commands: what ``--help`` says, all on one page.

Belongs here: reading the typer app. Does not belong here: commands.
"""

from __future__ import annotations

import re

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from nexus.reference.markdown import page

_MARKUP = re.compile(r"\[/?(?:bold|dim|italic)\]")


def render(app: typer.Typer) -> str:
    """The page."""
    command = get_command(app)
    context = typer.Context(command, info_name="bin/nexus")
    text = get_docs_for_click(obj=command, ctx=context, name="bin/nexus", indent=1)
    return page("Commands", "the command line itself", _MARKUP.sub("", text))
