"""``bin/nexus train``: one recipe on one data set under one protocol, with the floors beside it.

Belongs here: the command, what it prints. Does not belong here: what it does (training.run), the models that the platform
trains by itself (``bin/nexus models``, training.cli).
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus import logs
from nexus.errors import invalid

if TYPE_CHECKING:
    from rich.console import Console

    from training.models_api import Tell

EXIT_INTERRUPTED = 130
COLUMNS = ("ndcg@10", "hr@10", "hr@50", "mrr", "coverage@10", "hr@10_debiased", "popularity@10")
MORE = ("recall@20", "recall@50", "set_ndcg@100", "unseen_hr@10", "unseen_ndcg@10")
EPILOG = (
    "Examples:  bin/nexus train --list  |  bin/nexus train default --data ml-latest-small --out runs/small  |  "
    "bin/nexus train floors --data training_nexus__examples --protocol global-time --out runs/floors"
)


class Device(StrEnum):
    """Where the model trains."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train", epilog=EPILOG)(train)


def train(
    recipe: Annotated[str | None, typer.Argument(help="One of bin/nexus train --list.", metavar="RECIPE")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="MovieLens folder or zip in any layout, a file of user item [time], or a lake table.",
            metavar="PATH|TABLE",
        ),
    ] = None,
    protocol: Annotated[str, typer.Option(help="What is held out; --list explains them.")] = "leave-one-out",
    seed: Annotated[int, typer.Option(help="Of everything that the model draws.", min=0, max=2**31 - 1)] = 0,
    budget: Annotated[
        float | None, typer.Option(help="Minutes after which training ends with the best it has.", min=0.05)
    ] = None,
    device: Annotated[Device, typer.Option(help="Where the model trains.")] = Device.AUTO,
    out: Annotated[
        Path | None, typer.Option(help="Folder for summary.json, ranks.csv and model.onnx; goes on with what is there.")
    ] = None,
    vectors: Annotated[
        Path | None, typer.Option(help="Text vectors of titles (.npz: ids, vectors) for recipes that use them.")
    ] = None,
    is_list: Annotated[bool, typer.Option("--list", help="Explain recipes and protocols, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary for programs.")] = False,
) -> None:
    """Train a recipe on any data, judge it beside the floors, and write figures, ranks and the ONNX model."""
    from nexus.cli.output import console

    if is_list:
        _list(console(), as_json=as_json)
        return
    for name, value in (("RECIPE", recipe), ("--data", data), ("--out", out)):
        if value is None:
            raise invalid(
                f"{name} is missing", field=name, value="", remedy="see bin/nexus train --help, and --list for recipes"
            )
    assert recipe is not None and data is not None and out is not None  # noqa: S101, PT018 (refused above)
    said = console(is_error=as_json)
    budget_s = None if budget is None else budget * 60.0
    try:
        with _libraries_quiet():
            summary = _run(recipe, data, protocol, seed, budget_s, str(device), out, vectors, _teller(said))
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
        console(is_error=True).print(
            f"interrupted: what is done is kept in {out}; the same command goes on", markup=False
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        sys.stdout.write(json.dumps(summary) + "\n")
    else:
        _show(said, summary, out)


def _run(
    recipe: str,
    data: str,
    protocol: str,
    seed: int,
    budget_s: float | None,
    device: str,
    out: Path,
    vectors: Path | None,
    tell: Tell,
) -> dict[str, Any]:
    from training import protocols, run
    from training.content.vectors import TextVectors
    from training.files import reading
    from training.recipes import registry
    from training.run_folder import claimed

    built, named = registry.named(recipe), protocols.named(protocol)
    place, texts = _place(device), None if vectors is None else TextVectors.read(vectors)
    loaded = reading.load(data, _lake)
    tell(
        f"{loaded.origin}: {len(loaded.dataset.viewers)} viewers, {loaded.dataset.size - 1} titles, "
        f"{sum(map(len, loaded.dataset.histories))} events, data {loaded.dataset.data_hash}"
    )
    for note in loaded.notes:
        tell(f"note: {note}")
    order = run.Order(built, loaded, named.make(loaded.dataset), seed, place, budget_s, texts)
    with claimed(out, order.identity()) as folder:
        return run.run(order, folder, tell)


@contextmanager
def _libraries_quiet() -> Iterator[None]:
    """What torch and Lightning think of themselves is not a person's concern; errors still come through."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    logs.configure(part="cli", level="ERROR")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _lake() -> Any:
    from nexus.lake.lake import Lake
    from nexus.settings import load

    return Lake.from_settings(load())


def _place(device: str) -> str:
    """``cpu`` or ``gpu``; what ``auto`` comes to here."""
    import torch

    is_there = torch.cuda.is_available()
    if device == "gpu" and not is_there:
        raise invalid("no GPU is to be seen", field="--device", value=device, remedy="take --device cpu or auto")
    return "cpu" if device == "cpu" or not is_there else "gpu"


def _teller(out: Console) -> Callable[[str], None]:
    started = time.monotonic()

    def tell(line: str) -> None:
        out.print(f"{time.monotonic() - started:7.1f} s  {line}", markup=False)
        out.file.flush()

    return tell


def _list(out: Console, *, as_json: bool) -> None:
    from training.protocols import PROTOCOLS
    from training.recipes.registry import RECIPES

    if as_json:
        listed = {
            "recipes": {recipe.name: recipe.words for recipe in RECIPES},
            "protocols": {protocol.name: protocol.explained for protocol in PROTOCOLS},
        }
        sys.stdout.write(json.dumps(listed) + "\n")
        return
    out.print("recipes")
    for recipe in RECIPES:
        out.print(f"  {recipe.name:<24}{recipe.words}", markup=False)
    out.print("protocols")
    for protocol in PROTOCOLS:
        out.print(f"  {protocol.name:<24}{protocol.explained}", markup=False)
    out.print("  next:  bin/nexus train debug --data PATH --out FOLDER")


def _show(out: Console, summary: Mapping[str, Any], folder: Path) -> None:
    columns = COLUMNS + tuple(name for name in MORE if name in summary["metrics"])
    out.print(f"{'':<16}" + "".join(f"{name:>16}" for name in columns))
    rows = {name: found["metrics"] for name, found in summary["candidates"].items()}
    for name, figures in sorted(rows.items(), key=lambda row: -row[1]["ndcg@10"]):
        mark = "*" if name == summary["model"] else " "
        out.print(f"{mark} {name:<14}" + "".join(f"{figures[column]:>16.4f}" for column in columns), markup=False)
    out.print(f"protocol: {summary['words']}", markup=False)
    out.print(
        f"recipe {summary['recipe']}, seed {summary['seed']}, {summary['device']}, {summary['seconds']:.0f} s; "
        f"* is the model, chosen on validation titles",
        markup=False,
    )
    out.print(f"  files:  {folder}/summary.json  ranks.csv  model.onnx", markup=False)
