"""Commands of this room, found by the command line by name."""

from __future__ import annotations

import typer

from contracts import build_cli, ipfs_cli, setup_cli


def register(app: typer.Typer) -> None:
    """Add the commands."""
    setup_cli.register(build_cli.register(app))
    ipfs_cli.register(app)
