"""``keys``, ``royalties`` and ``proposals``: keys that encrypt and sign, payments to payees, what members have passed.

Belongs here: the commands. Does not belong here: the workflows that do it, and titles' tokens (``mint``, serving.cli).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from temporalio.client import Client

    from nexus.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Follow = Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for the end, or only start it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    keys = typer.Typer(help="Keys: list them, replace them while everything runs.", no_args_is_help=True)
    keys.command("list", epilog="Example:  bin/nexus keys list --json")(list_)
    rotate = typer.Typer(help="Replace a key.", no_args_is_help=True)
    rotate.command("signer", epilog="Example:  bin/nexus keys rotate signer")(rotate_signer)
    rotate.command("keyring", epilog="Example:  bin/nexus keys rotate keyring")(rotate_keyring)
    keys.add_typer(rotate, name="rotate")
    keys.command("destroy", epilog="Example:  bin/nexus keys destroy 1d526c0d6f01 --yes")(destroy)
    app.add_typer(keys, name="keys")
    royalties = typer.Typer(help="What the splitter holds for payees.", no_args_is_help=True)
    royalties.command("pay", epilog="Example:  bin/nexus royalties pay 2026-11")(pay)
    app.add_typer(royalties, name="royalties")
    proposals = typer.Typer(help="What members have passed.", no_args_is_help=True)
    proposals.command("execute", epilog="Example:  bin/nexus proposals execute 1234")(execute)
    app.add_typer(proposals, name="proposals")


def list_(as_json: AsJson = False) -> None:
    """Keys of the ring, keys that sign, and what each lacks."""
    from nexus.cli.output import console
    from nexus.settings import load
    from workflows.keys_shown import shown

    found = asyncio.run(shown(load()))
    if as_json:
        _json(found)
        return
    out = console()
    out.print(f"{'keyring':<44}{'state':<11}made")
    for key in found["keyring"]:
        out.print(f"{key['id']:<44}{key['state']:<11}{key['made_at'][:19]}Z")
    if found["signers"]:
        out.print(f"{'signers':<44}{'state':<11}{'role':<9}{'under way':>9}  lacks")
    for one in found["signers"]:
        lacks = f"{one['needs_wei']} wei" if one["needs_wei"] else ""
        out.print(f"{one['address']:<44}{one['state']:<11}{one['role']:<9}{one['in_flight']:>9}  {lacks}")
    if found["manifest_key"]:
        out.print(f"manifests are signed by {found['manifest_key']}")
    out.print("  next:  bin/nexus keys rotate keyring   bin/nexus keys rotate signer")


def rotate_signer(
    address: Annotated[str | None, typer.Option(help="Which one; default: the one in use longest.")] = None,
    follow: Follow = True,
    as_json: AsJson = False,
) -> None:
    """Replace a minting key while mints go on; the old one can mint no more at the end."""

    async def start(client: Client, settings: Settings) -> str:
        from workflows.web3_client import start_rotate_signer

        return await start_rotate_signer(client, settings, address)

    _operate(start, is_followed=follow, as_json=as_json)


def rotate_keyring(
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    follow: Follow = True,
    as_json: AsJson = False,
) -> None:
    """Replace the keyring's active key and wrap stored secrets anew; what is encrypted stays readable."""

    async def start(client: Client, settings: Settings) -> str:
        from workflows.web3_client import start_rotate_keys

        return await start_rotate_keys(client, settings, reason)

    _operate(start, is_followed=follow, as_json=as_json)


def destroy(
    key_id: Annotated[str, typer.Argument(help="A retired key of the ring.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it: what is still under this key is lost for ever.")] = False,
) -> None:
    """Forget a retired key of the ring. Workflows that are kept may still need it: see docs/how-to/keys.md."""
    from nexus.cli.output import console
    from nexus.errors import Category, NexusError
    from nexus.keyring import Keyring
    from nexus.settings import load

    if not yes:
        raise NexusError(
            "what is still encrypted under this key would be lost for ever",
            category=Category.CONFLICT,
            field="--yes",
            value=key_id,
            remedy="say --yes once nothing is left under it (docs/how-to/keys.md says how long that takes)",
        )
    Keyring.open(load()).destroy(key_id)
    console().print(f"{key_id} is destroyed")


def pay(
    number: Annotated[str, typer.Argument(help="Name of this distribution; the same one pays nobody twice.")],
    token: Annotated[list[str] | None, typer.Option(help="An ERC-20 token to pay out too; may be repeated.")] = None,
    follow: Follow = True,
    as_json: AsJson = False,
) -> None:
    """Pay every payee of the splitter what is due, in the native coin and in tokens."""

    async def start(client: Client, settings: Settings) -> str:
        from workflows.web3_client import start_royalties

        return await start_royalties(client, settings, number, tuple(token or ()))

    _operate(start, is_followed=follow, as_json=as_json)


def execute(
    proposal_id: Annotated[str, typer.Argument(help="The governor's number of the proposal.")],
    follow: Follow = True,
    as_json: AsJson = False,
) -> None:
    """Queue and execute a proposal that members have passed."""

    async def start(client: Client, settings: Settings) -> str:
        from workflows.web3_client import start_proposal

        return await start_proposal(client, settings, proposal_id)

    _operate(start, is_followed=follow, as_json=as_json)


def _operate(start: Callable[[Client, Settings], Awaitable[str]], *, is_followed: bool, as_json: bool) -> None:
    """Start an operation, show its steps as they happen, and end with its result."""
    from nexus.settings import load

    result = asyncio.run(_operated(load(), start, is_followed=is_followed, is_quiet=as_json))
    if as_json:
        _json(result)


async def _operated(
    settings: Settings, start: Callable[[Client, Settings], Awaitable[str]], *, is_followed: bool, is_quiet: bool
) -> dict[str, Any]:
    from nexus.cli.output import console
    from workflows.client import connect
    from workflows.following import followed

    client = await connect(settings)
    out = console(is_error=is_quiet)
    say: Callable[[str], None] = (lambda _line: None) if is_quiet else (lambda line: out.print(line, markup=False))
    operation_id = await start(client, settings)
    if not is_followed:
        say(f"started {operation_id}")
        return {"operation_id": operation_id}
    result = await followed(client, operation_id, say)
    for name, value in result.items():
        say(f"  {name:<14}{value}")
    return {"operation_id": operation_id, "result": result}


def _json(found: dict[str, Any]) -> None:
    import orjson

    sys.stdout.write(orjson.dumps(found).decode() + "\n")
