"""``models``: what is registered, and which of it is served.

Belongs here: the commands. Does not belong here: the registry (training.registry), the workflow that changes the
champion (``workflows.client``, found by name: training does not import workflows).
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus import telemetry
from nexus.errors import not_found
from nexus.settings import load

if TYPE_CHECKING:
    from rich.console import Console

    from training.rebuild import Restored
    from training.retrain import Retrained

SHOWN = ("ndcg_10", "hr_10", "validation_ndcg_10", "coverage_10")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Trained models: list, inspect, promote, approve, roll back.", no_args_is_help=True)
    group.command("list", epilog="Examples:  bin/nexus models list  |  bin/nexus models list --json")(list_)
    group.command("show", epilog="Examples:  bin/nexus models show 3  |  bin/nexus models show champion --json")(show)
    group.command(
        "rebuild", epilog="Examples:  bin/nexus models rebuild 3  |  bin/nexus models rebuild champion --train --json"
    )(rebuild)
    group.command("import", epilog="Example:  bin/nexus models import runs/gpu-1")(import_)
    group.command("archive", epilog="Example:  bin/nexus models archive 3")(archive)
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


def show(
    version: Annotated[str, typer.Argument(help="Number, or champion, challenger, previous.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """One model: figures beside the floors, the protocol, what the gate said, where its data are."""
    from nexus.cli.output import console
    from training.catalog import list_models
    from training.tracking import provenance_of, record_of

    settings = load()
    models = [m for m in list_models(settings) if version == m["version"] or version in m["aliases"]]
    if not models:
        raise not_found("no such model", field="version", value=version, remedy="take one from bin/nexus models list")
    out, model = console(), models[0]
    record = record_of(settings, model["version"])
    origin = provenance_of(settings, model["version"])
    if as_json:
        sys.stdout.write(json.dumps(model | {"candidates": record["metrics"]} | origin) + "\n")
        return
    out.print(
        f"model {model['version']}  {', '.join(model['aliases'])}  ({model['kind']}, {model['created_at'][:19]}Z)"
    )
    out.print(f"{'held-out titles':<18}" + "".join(f"{name:>20}" for name in SHOWN))
    for name, figures in sorted(record["metrics"].items(), key=lambda item: -item[1]["ndcg_10"]):
        mark = "*" if name == model["kind"] else " "
        out.print(f"{mark} {name:<16}" + "".join(f"{figures[key]:>20.4f}" for key in SHOWN))
    out.print(f"protocol: {record['protocol']}")
    out.print(f"gate: {model['gate'] or 'not asked yet'}")
    tables = ", ".join(f"{table}@{at}" for table, at in origin["data_version"].items())
    kept = (origin["snapshot"] or {}).get("dvc")
    out.print(f"data: {model['data_hash']}  {tables}  {'dvc ' + kept['md5'] if kept else 'no copy in DVC'}")
    out.print(f"  next:  bin/nexus models rebuild {model['version']}")


def rebuild(
    version: Annotated[str, typer.Argument(help="Number, or champion, challenger, previous.")],
    into: Annotated[
        Path | None, typer.Option(help="Where the data shall lie; default: rebuilt/VERSION at home.")
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="Train again, and compare the figures.")] = False,
    any_code: Annotated[bool, typer.Option("--any-code", help="Train even if the code changed since.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Bring back a model's training data, bit for bit; ends with 1 when they are not what it was trained on."""
    from nexus.cli.output import console
    from training.rebuild import restore
    from training.retrain import retrain

    settings = load()
    restored = restore(settings, version, into.absolute() if into else None)
    if not as_json:
        _show_restored(console(), restored)
    trained = retrain(settings, restored, is_any_code=any_code) if train and restored.matches else None
    if as_json:
        said: dict[str, Any] = restored.as_dict() | ({"training": trained.as_dict()} if trained else {})
        sys.stdout.write(json.dumps(said) + "\n")
    elif trained is not None:
        _show_trained(console(), trained)
    if not restored.matches or (trained is not None and not trained.is_within_tolerance):
        raise typer.Exit(1)


def _show_restored(out: Console, restored: Restored) -> None:
    ways = {"dvc": "DVC", "lake": "the lake, at " + ", ".join(f"{t}@{v}" for t, v in restored.pin.versions.items())}
    out.print(
        f"data of model {restored.version}: {restored.found.interactions.height} interactions, from {ways[restored.source]}"
    )
    out.print(f"  hash        {restored.data_hash}")
    out.print(f"  registered  {restored.registered_data_hash}  {'the same' if restored.matches else 'NOT the same'}")
    out.print(
        f"  files       {restored.folder}  {'' if restored.is_bit_identical else 'not '}bit for bit as registered"
    )
    for note in restored.notes:
        out.print(f"  note: {note}", markup=False)


def _show_trained(out: Console, trained: Retrained) -> None:
    out.print(f"{'candidate':<13}{'figure':<20}{'registered':>11}{'rebuilt':>11}{'difference':>12}  tolerance")
    for figure in trained.figures:
        out.print(
            f"{figure.candidate:<13}{figure.metric:<20}{figure.registered:>11.6f}{figure.rebuilt:>11.6f}"
            f"{figure.difference:>12.2e}  {figure.tolerance}{'' if figure.is_within else '  OUTSIDE'}"
        )
    word = "within" if trained.is_within_tolerance else "NOT within"
    out.print(f"{word} tolerance; {trained.equal_ranks:.2%} of all ranks are equal; trained in {trained.seconds:.1f} s")
    for note in trained.notes:
        out.print(f"  note: {note}", markup=False)


def import_(
    folder: Annotated[Path, typer.Argument(help="The --out folder of bin/nexus train.", metavar="DIR")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Bring a run of bin/nexus train, made on any machine, into the registry: figures, ranks, checkpoint and model."""
    from nexus.cli.output import console
    from training.importing import run

    done = run(load(), folder)
    if as_json:
        sys.stdout.write(json.dumps(done.as_dict()) + "\n")
        return
    out, word = console(), "imported" if done.is_new else "imported before: nothing to do"
    out.print(f"{folder}: {word}  (run {done.run_id})", markup=False)
    if done.version is None:
        out.print(f"  no version was registered: {done.comparison_only}", markup=False)
    elif done.comparison_only:
        out.print(f"  version {done.version}, for comparison only: {done.comparison_only}", markup=False)
    else:
        out.print(f"  version {done.version}; gate: {done.gate or 'not asked: the lake has no examples'}", markup=False)
        out.print(f"  next:  bin/nexus models show {done.version}   bin/nexus models promote {done.version}")


def archive(version: Annotated[str, typer.Argument(help="Number, as in bin/nexus models list.")]) -> None:
    """Give up rebuilding a model: the lake need not keep its data any longer. A model in use is refused."""
    from nexus.cli.output import console
    from training.registry import archive as put_away

    put_away(load(), version)
    console().print(f"version {version} is archived: vacuum may remove what only it needed")


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
    settings = load()
    telemetry.configure(settings, "cli")
    with telemetry.span(f"bin/nexus models {function}"):
        outcome = asyncio.run(run(settings, *arguments))
    out = console()
    out.print(f"{outcome.get('action', 'change')}: {outcome.get('outcome')}  (workflow {outcome.get('workflow_id')})")
    out.print("  next:  bin/nexus models list   bin/nexus recommend movielens:1")
