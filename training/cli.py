"""``models``: what is registered, and which of it is served.

Belongs here: the commands. Does not belong here: the registry (training.registry), the workflow that changes the
champion (``workflows.client``, found by name: training does not import workflows).
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from typing import Annotated

import typer

from nexus.errors import not_found
from nexus.settings import load

SHOWN = ("ndcg_10", "hr_10", "validation_ndcg_10", "coverage_10")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Trained models: list, inspect, promote, approve, roll back.", no_args_is_help=True)
    group.command("list", epilog="Examples:  bin/nexus models list  |  bin/nexus models list --json")(list_)
    group.command("show", epilog="Example:  bin/nexus models show 3")(show)
    group.command("promote", epilog="Example:  bin/nexus models promote 3 --reason 'better on new titles'")(promote)
    group.command("rollback", epilog="Example:  bin/nexus models rollback --reason 'odd lists'")(rollback)
    group.command("approve", epilog="Example:  bin/nexus models approve promote-recommender-3 --by ada")(approve)
    app.add_typer(group, name="models")


def list_(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Every registered model, newest first."""
    from nexus.cli.output import console
    from training.catalog import list_models

    models = list_models(load())
    if as_json:
        sys.stdout.write(json.dumps({"models": models}) + "\n")
        return
    out = console()
    if not models:
        out.print("no model yet\n  next:  bin/nexus pipeline run")
        return
    out.print(f"{'version':<9}{'aliases':<22}{'kind':<13}{'NDCG@10':>8}{'HR@10':>8}  {'data':<18}created")
    for model in models:
        figures = model["metrics"]
        out.print(
            f"{model['version']:<9}{', '.join(model['aliases']):<22}{model['kind'] or '':<13}"
            f"{figures.get('ndcg_10', float('nan')):>8.4f}{figures.get('hr_10', float('nan')):>8.4f}  "
            f"{model['data_hash'] or '':<18}{model['created_at'][:19]}Z"
        )
    out.print("  next:  bin/nexus models show VERSION   bin/nexus models promote VERSION")


def show(version: Annotated[str, typer.Argument(help="Number, or champion, challenger, previous.")]) -> None:
    """One model: figures beside the floors, the protocol, what the gate said."""
    from nexus.cli.output import console
    from training.catalog import list_models
    from training.tracking import record_of

    settings = load()
    models = [m for m in list_models(settings) if version == m["version"] or version in m["aliases"]]
    if not models:
        raise not_found("no such model", field="version", value=version, remedy="take one from bin/nexus models list")
    out, model = console(), models[0]
    record = record_of(settings, model["version"])
    out.print(
        f"model {model['version']}  {', '.join(model['aliases'])}  ({model['kind']}, {model['created_at'][:19]}Z)"
    )
    out.print(f"{'held-out titles':<18}" + "".join(f"{name:>20}" for name in SHOWN))
    for name, figures in sorted(record["metrics"].items(), key=lambda item: -item[1]["ndcg_10"]):
        mark = "*" if name == model["kind"] else " "
        out.print(f"{mark} {name:<16}" + "".join(f"{figures[key]:>20.4f}" for key in SHOWN))
    out.print(f"protocol: {record['protocol']}")
    out.print(f"gate: {model['gate'] or 'not asked yet'}")


def promote(
    version: Annotated[str, typer.Argument(help="Number, as in bin/nexus models list.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the workflow.")] = "asked for by a person",
) -> None:
    """Serve this model from now on; the gate's figures are not asked, a person has decided."""
    _change("run_promote", version, reason)


def rollback(
    reason: Annotated[str, typer.Option(help="Why; kept with the workflow.")] = "asked for by a person",
) -> None:
    """Serve the previous model again."""
    _change("run_rollback", reason)


def approve(
    workflow: Annotated[str, typer.Argument(help="The waiting promotion, as `models promote` or Temporal names it.")],
    by: Annotated[str, typer.Option(help="Who says so; kept with the workflow.")],
    reject: Annotated[bool, typer.Option("--reject", help="Refuse it instead.")] = False,
) -> None:
    """Give a person's word to a promotion that waits for it (NEXUS_TRAINING__REQUIRE_APPROVAL=true)."""
    _change("approve", workflow, not reject, by)


def _change(function: str, *arguments: str | bool) -> None:
    from nexus.cli.output import console

    run = getattr(importlib.import_module("workflows.client"), function)
    outcome = asyncio.run(run(load(), *arguments))
    out = console()
    out.print(f"{outcome.get('action', 'change')}: {outcome.get('outcome')}  (workflow {outcome.get('workflow_id')})")
    out.print("  next:  bin/nexus models list   bin/nexus recommend movielens:1")
