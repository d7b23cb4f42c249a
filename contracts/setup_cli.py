"""``contracts deploy``: what is missing on the chain is shown, agreed to, sent, and written down.

Belongs here: the command. Does not belong here: what is missing (client/setup.py).
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus.errors import Category, NexusError

if TYPE_CHECKING:
    from contracts.client.deploy import Step
    from contracts.client.site import People, Site

_UNKNOWN_DEPLOYMENT, _UNKNOWN_GRANT = 3_500_000, 80_000


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command(
        "deploy",
        epilog="Examples:  bin/nexus contracts deploy --dry-run  |  bin/nexus contracts deploy --yes  (bin/nexus up does it "
        "by itself on the embedded chain)",
    )(deploy)


def deploy(
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is missing; send nothing.")] = False,
    is_sure: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs; implies --dry-run.")] = False,
) -> None:
    """Deploy NexusMedia and what belongs to it, and let the lanes mint; whatever is there already is left alone."""
    asyncio.run(_deploy(is_dry_run=is_dry_run or as_json, is_sure=is_sure, as_json=as_json))


async def _deploy(*, is_dry_run: bool, is_sure: bool, as_json: bool) -> None:
    from contracts.client.rpc.errors import Answered, Indeterminate
    from contracts.client.setup import bring_about, missing
    from contracts.client.site import away, in_use, opened, take_on
    from nexus.cli.output import console
    from nexus.runtime.state import user_settings
    from nexus.settings import load

    is_embedded = not user_settings().web3.rpc_urls
    out = console()
    try:
        async with opened(load(), is_embedded=is_embedded) as site:
            people = await take_on(site)
            steps = await missing(site, people)
            plan = await _plan(site, people, steps)
            if as_json:
                sys.stdout.write(json.dumps(plan) + "\n")
                return
            for line in _lines(plan):
                out.print(line)
            if not steps or is_dry_run:
                return
            _refuse_poor(plan, people)
            if not is_sure and not typer.confirm(f"Send {len(steps)} transactions to {site.chain.name}?"):
                out.print("nothing was sent")
                raise typer.Exit(1)
            await bring_about(site, people, lambda name: out.print(f"  done  {name}"), is_final=not is_embedded)
            for name, address in (await in_use(site)).items():
                out.print(f"{name:<20} {address}")
    except (Answered, Indeterminate) as error:
        raise away(error) from None


async def _plan(site: Site, people: People, steps: list[Step]) -> dict[str, Any]:
    """What there is and what is missing, as plain data."""
    everybody = [people.admin, *people.minters]
    balances = await site.rpc.batch([("eth_getBalance", [one, "latest"]) for one in everybody])
    gas = await _gas(site, people, steps)
    price = int(await site.rpc.call("eth_gasPrice"), 16)
    return {
        "chain": site.chain.name,
        "chain_id": site.chain.chain_id,
        "coin": site.chain.coin,
        "accounts": [
            {"address": one, "role": "admin" if one == people.admin else "minter", "balance_wei": _wei(balance)}
            for one, balance in zip(everybody, balances, strict=True)
        ],
        "steps": [step.name for step in steps],
        "gas": gas,
        "cost_wei": gas * price,
    }


def _wei(balance: Any) -> int | None:
    return None if isinstance(balance, Exception) else int(balance, 16)


async def _gas(site: Site, people: People, steps: list[Step]) -> int:
    """An estimate; what cannot be estimated before other steps are done is taken as the usual."""
    calls = [{"from": people.admin, "to": step.to, "data": "0x" + step.data.hex()} for step in steps]
    found = await site.rpc.batch([("eth_estimateGas", [call]) for call in calls])
    usual = [_UNKNOWN_DEPLOYMENT if step.check is None else _UNKNOWN_GRANT for step in steps]
    return sum(guess if isinstance(one, Exception) else int(one, 16) for one, guess in zip(found, usual, strict=True))


def _lines(plan: dict[str, Any]) -> list[str]:
    coin = plan["coin"]
    lines = [f"{plan['chain']} (chain {plan['chain_id']})"]
    for one in plan["accounts"]:
        has = "unknown" if one["balance_wei"] is None else f"{one['balance_wei'] / 1e18:,.6f} {coin}"
        lines.append(f"  {one['role']:<7} {one['address']}  {has}")
    if not plan["steps"]:
        return [*lines, "everything is there"]
    lines += [f"  to do   {name}" for name in plan["steps"]]
    return [*lines, f"about {plan['gas']:,} gas, {plan['cost_wei'] / 1e18:,.6f} {coin} at the price of now"]


def _refuse_poor(plan: dict[str, Any], people: People) -> None:
    """Before anything is sent: can the admin pay?"""
    has = next(one["balance_wei"] for one in plan["accounts"] if one["address"] == people.admin)
    lacks = plan["cost_wei"] - (has or 0)
    if lacks > 0:
        raise NexusError(
            "the admin cannot pay for this",
            category=Category.CONFLICT,
            field="balance",
            value=f"{(has or 0) / 1e18:,.6f} {plan['coin']}",
            remedy=f"send {lacks / 1e18:,.6f} {plan['coin']} or more to {people.admin} on {plan['chain']}, then run this again",
        )
