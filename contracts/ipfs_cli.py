"""``ipfs``: add, pin and get content, and how it is kept.

Belongs here: the commands and what a person sees. Does not belong here: what they do (contracts.client.ipfs).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus.cli.output import console
from nexus.settings import Settings, load

if TYPE_CHECKING:
    from rich.text import Text

    from contracts.client.ipfs.gateways import Retrieval
    from contracts.client.ipfs.node import Ipfs
    from contracts.client.ipfs.pins import Pin, PinServices

_Json = Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")]
_Cid = Annotated[str, typer.Argument(help="Content identifier, as in bafkrei... or Qm...")]
Tell = Callable[[str, int, int | None], None]
Answer = dict[str, Any]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Content by its identifier: add, pin, get, and how it is kept.", no_args_is_help=True)
    group.command("add", epilog="Examples:  bin/nexus ipfs add poster.jpg  |  bin/nexus ipfs add FOLDER --pin")(add)
    group.command("pin", epilog="Example:  bin/nexus ipfs pin bafkrei...")(pin)
    group.command("get", epilog="Example:  bin/nexus ipfs get bafybei... --to film.mkv")(get)
    group.command("health", epilog="Examples:  bin/nexus ipfs health  |  bin/nexus ipfs health bafkrei... --json")(
        health
    )
    app.add_typer(group, name="ipfs")


def add(
    path: Annotated[Path, typer.Argument(help="File or folder.")],
    is_pinned: Annotated[
        bool, typer.Option("--pin", help="Also pin at the services of the settings, and wait for enough of them.")
    ] = False,
    is_json: _Json = False,
) -> None:
    """Add a file or folder to our node, which keeps it; its identifier is computed here too and compared."""
    settings = load()
    size = path.stat().st_size if path.is_file() else None

    async def run(tell: Tell) -> Answer:
        from contracts.client.ipfs.folders import add_folder

        async with _places(settings) as (node, services):
            source = _needed(settings, node)

            def sent(count: int) -> None:
                tell(path.name, count, size)

            added = await (add_folder(source, path, sent) if size is None and path.is_dir() else source.add(path, sent))
            answer: Answer = {"cid": added.cid, "size_bytes": added.size_bytes, "uri": f"ipfs://{added.cid}"}
            answer["urls"] = _urls(settings, added.cid)
            if is_pinned:
                answer["pins"] = await _pinned(services, added.cid, tell, path.name)
            return answer

    answer = _run(run, is_json=is_json)
    if is_json:
        return
    out = console()
    out.print(f"{answer['cid']}  {answer['size_bytes']:,} bytes", style="bold", markup=False)
    for url in answer["urls"]:
        out.print(f"  {url}", markup=False)
    _print_pins(answer.get("pins", []))
    out.print(f"  next:  bin/nexus ipfs health {answer['cid']}", markup=False)


def pin(
    cid: _Cid,
    wait_s: Annotated[
        float, typer.Option("--wait", min=1, help="Seconds until it gives up; asking again goes on.")
    ] = 600.0,
    is_json: _Json = False,
) -> None:
    """Pin at our node and at every service of the settings; ends when enough of them have it."""
    settings = load()

    async def run(tell: Tell) -> Answer:
        async with _places(settings) as (node, services):
            if not services.places:
                _needed(settings, node)
            return {"cid": _checked(cid), "pins": await _pinned(services, cid, tell, None, wait_s)}

    answer = _run(run, is_json=is_json)
    if not is_json:
        _print_pins(answer["pins"])
        console().print(f"  next:  bin/nexus ipfs health {cid}", markup=False)


def get(
    cid: _Cid,
    to: Annotated[Path, typer.Option("--to", help="File (or, for a directory, the folder) to write.")],
    is_json: _Json = False,
) -> None:
    """Get a file or directory from our node, else from gateways; every block is checked, wrong ones refused."""
    settings = load()

    async def run(tell: Tell) -> Answer:
        from contracts.client.ipfs.gateways import Retrieval

        _checked(cid)
        async with _node(settings) as node, Retrieval.of(settings, node) as retrieval:
            count, size = await _taken(retrieval, cid, to, tell)
            sources = [asdict(shown) for shown in retrieval.standing()]
        return {"cid": cid, "path": str(to), "files": count, "size_bytes": size, "sources": sources}

    answer = _run(run, is_json=is_json)
    if is_json:
        return
    out = console()
    out.print(f"{to}  {answer['size_bytes']:,} bytes, every block verified", style="bold", markup=False)
    for source in answer["sources"]:
        if source["state"] != "well":
            out.print(f"  {source['source']}: {source['state']}", style="yellow", markup=False)


def health(
    cid: Annotated[str | None, typer.Argument(help="Content to look after; without it, the node itself.")] = None,
    is_json: _Json = False,
) -> None:
    """Show how the node does; with an identifier, who keeps it: pinned there, and a block taken from there by chance and checked."""
    settings = load()

    async def run(_tell: Tell) -> Answer:
        from contracts.client.ipfs.simple import SimpleIpfs

        if cid is None:
            with SimpleIpfs.of(settings) as simple:
                facts = await asyncio.to_thread(simple.facts)
            return {"is_well": True, "node": asdict(facts) | {"url": settings.web3.ipfs_url}}
        _checked(cid)
        async with _places(settings) as (node, services):
            if not services.places:
                _needed(settings, node)
            found = await services.health(cid)
        well = sum(one.is_well for one in found)
        listed = [asdict(one) | {"is_well": one.is_well} for one in found]
        return {"cid": cid, "is_well": well >= services.required, "required": services.required, "places": listed}

    answer = _run(run, is_json=is_json)
    if not is_json:
        _print_health(answer)
    if not answer["is_well"]:
        raise typer.Exit(1)


@asynccontextmanager
async def _node(settings: Settings) -> AsyncIterator[Ipfs | None]:
    from contracts.client.ipfs.node import Ipfs

    if settings.web3.ipfs_url is None:
        yield None
        return
    async with Ipfs(settings.web3.ipfs_url) as node:
        yield node


@asynccontextmanager
async def _places(settings: Settings) -> AsyncIterator[tuple[Ipfs | None, PinServices]]:
    from contracts.client.ipfs.pins import PinServices

    async with _node(settings) as node, PinServices.of(settings, node) as services:
        yield node, services


def _needed(settings: Settings, node: Ipfs | None) -> Ipfs:
    from contracts.client.ipfs.node import Ipfs

    return node if node is not None else Ipfs.of(settings)


def _checked(cid: str) -> str:
    from contracts.client.ipfs.identifiers import parse

    parse(cid)
    return cid


async def _pinned(services: PinServices, cid: str, tell: Tell, name: str | None, wait_s: float = 600.0) -> list[Answer]:
    def changed(pins: Sequence[Pin]) -> None:
        tell("pinned", sum(pin.status == "pinned" for pin in pins), services.required)

    return [asdict(pin) for pin in await services.pin(cid, tell=changed, name=name, wait_s=wait_s)]


async def _taken(retrieval: Retrieval, cid: str, to: Path, tell: Tell) -> tuple[int, int]:
    from contracts.client.ipfs.folders import fetch_folder, is_directory

    if await is_directory(retrieval, cid):
        kept = await fetch_folder(retrieval, cid, to, tell)
        return kept.files, kept.size_bytes
    return 1, await retrieval.fetch_to(cid, to, lambda done, size: tell(to.name, done, size))


def _urls(settings: Settings, cid: str) -> list[str]:
    own = [settings.web3.ipfs_gateway_url] if settings.web3.ipfs_gateway_url else []
    return [f"{url.rstrip('/')}/ipfs/{cid}" for url in (*own, *settings.web3.gateways)]


def _run(work: Callable[[Tell], Coroutine[Any, Any, Answer]], *, is_json: bool) -> Answer:
    with _bars() as tell:
        answer = asyncio.run(work(tell))
    if is_json:
        sys.stdout.write(json.dumps(answer) + "\n")
    return answer


@contextmanager
def _bars() -> Iterator[Tell]:
    """Moving bars on a terminal; nothing elsewhere."""
    out = console(is_error=True)
    if not out.is_terminal:
        yield lambda _what, _done, _size: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def tell(what: str, done: int, size: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=size)
            bars.update(tasks[what], completed=done)

        yield tell


def _print_pins(pins: list[Answer]) -> None:
    for one in pins:
        _line(one["service"], one["status"] == "pinned", one["status"] or "not asked", one["reason"])


def _print_health(answer: Answer) -> None:
    out = console()
    if "node" in answer:
        for name, fact in answer["node"].items():
            out.print(f"  {name:12} {fact:,}" if isinstance(fact, int) else f"  {name:12} {fact}", markup=False)
        return
    for one in answer["places"]:
        verified = {True: ", a block verified", False: ", no verified block", None: ", blocks not asked for"}[
            one["is_verified"]
        ]
        _line(one["service"], one["is_well"], (one["status"] or "not pinned") + verified, one["reason"])
    well = sum(one["is_well"] for one in answer["places"])
    out.print(
        f"kept at {well} places; {answer['required']} are asked for", style="bold" if answer["is_well"] else "bold red"
    )


def _line(name: str, is_well: bool, state: str, reason: str | None) -> None:
    from rich.text import Text

    mark: Text = Text("  ok   ", style="green") if is_well else Text("  --   ", style="yellow")
    console().print(mark + Text(f"{name:16} {state}") + Text(f"  {reason}" if reason else "", style="dim"))
