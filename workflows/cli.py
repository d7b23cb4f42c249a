"""Commands of this room, found by the command line by name."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
