"""``contracts``: build, check, measure.

Belongs here: the commands. Does not belong here: compiling (compiler.py), measuring (gas.py).
"""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from nexus.errors import Category, NexusError

JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]


def register(app: typer.Typer) -> typer.Typer:
    """Add the commands; returns their group."""
    group = typer.Typer(help="Smart contracts: compile, check, measure gas, deploy.", no_args_is_help=True)
    group.command("build", epilog="Example:  bin/nexus contracts build")(build)
    group.command("check", epilog="Example:  bin/nexus contracts check")(check)
    group.command("gas", epilog="Examples:  bin/nexus contracts gas  |  bin/nexus contracts gas --save")(gas)
    app.add_typer(group, name="contracts")
    return group


def build() -> None:
    """Compile contracts/src into contracts/artifacts (needs Node)."""
    from contracts.compiler import units, write
    from nexus.cli.output import console
    from nexus.settings import ROOT

    out = console()
    for unit in units():
        for path in write(unit):
            out.print(f"  {path.relative_to(ROOT)}")
    out.print("  next:  bin/nexus contracts gas")


def check() -> None:
    """Compile again and compare with what is committed, byte for byte (needs Node)."""
    from contracts.compiler import differences, units
    from nexus.cli.output import console

    wrong = [line for unit in units() for line in differences(unit)]
    if wrong:
        raise NexusError(
            "the committed artifacts are not what the sources give: " + "; ".join(wrong),
            category=Category.CONFLICT,
            field="contracts/artifacts",
            remedy="run bin/nexus contracts build and commit what it writes",
        )
    console().print("every artifact is byte for byte what the sources give")


def gas(
    save: Annotated[bool, typer.Option("--save", help="Make the figures of now the committed ones.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure the gas of every operation on a fresh anvil and compare with contracts/gas.json."""
    from contracts.gas import BASELINE, compared, measure
    from nexus.cli.output import console

    measured = measure()
    if save:
        BASELINE.write_text(json.dumps(measured, indent=1) + "\n")
    rows, is_same = compared(measured)
    if as_json:
        sys.stdout.write(json.dumps({"operations": rows, "is_same": is_same}) + "\n")
    else:
        out = console()
        out.print(f"{'operation':<44}{'gas':>10}{'committed':>11}{'change':>8}")
        for row in rows:
            change = "new" if row["change"] is None else f"{row['change']:+,}" if row["change"] else ""
            out.print(f"{row['operation']:<44}{_number(row['gas']):>10}{_number(row['committed']):>11}{change:>8}")
    if not is_same:
        raise NexusError(
            "gas is not what is committed",
            category=Category.CONFLICT,
            field="contracts/gas.json",
            remedy="if the change is wanted, run bin/nexus contracts gas --save and commit the file",
        )


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
