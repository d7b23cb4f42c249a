"""From an empty chain to one that titles can be minted on: keys, coins, contracts, roles, and what is written down of it.

Idempotent: whatever is there is left alone, whatever is missing is made; a wiped embedded chain gets everything that was
ever sent to it once more, byte for byte, so that addresses and tokens are the same. On a chain of others nothing is sent
unless a person asks for it (``bin/nexus contracts deploy``): :func:`run` then says what is missing.
Belongs here: the order of those steps. Does not belong here: what the steps are (deploy.py), sending (transactions/).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from contracts.client import deploy
from contracts.client.deploy import MEDIA, Plan, Step
from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.site import ADMIN, People, Site, away, in_use, opened, take_on
from contracts.client.transactions.desk import moved
from contracts.client.transactions.model import Intent, Reverted
from contracts.client.transactions.watching import ORPHANED
from nexus.db import contracts as contracts_db
from nexus.db import transactions as rows_db
from nexus.db.pool import acquire
from nexus.errors import NexusError, unavailable

if TYPE_CHECKING:
    from nexus.runtime.fetched import Errand
    from nexus.settings import Settings

_WAVES, _ATTEMPTS = 12, 5
_PATIENCE_S, _POLL_S = 120.0, 0.1
_EVER_H = 24.0 * 365 * 100
_MOST = 1_000_000
Say = Callable[[str], None]


def run(settings: Settings, errand: Errand, *, is_embedded: bool) -> str:
    """Do what may be done without asking, and say what there is.

    Args:
        settings: The platform's.
        errand: Who waits.
        is_embedded: Whether the chain is the one that the runtime started; on any other nothing is sent.

    Raises:
        NexusError: It could not be done.
    """
    return asyncio.run(_run(settings, errand, is_embedded=is_embedded))


async def _run(settings: Settings, errand: Errand, *, is_embedded: bool) -> str:
    try:
        async with opened(settings, is_embedded=is_embedded) as site:
            people = await take_on(site)
            if not site.is_embedded:
                return await told(site, people)
            await _mend_wiped(site, errand.say)
            done = await bring_about(site, people)
            media = (await in_use(site)).get(MEDIA, "")
            return f"NexusMedia {media}" + (f", {done} transactions" if done else "")
    except (Answered, Indeterminate) as error:
        raise away(error) from None
    except TimeoutError:
        raise unavailable(
            "the chain takes too long", remedy="see bin/nexus logs chain, then run bin/nexus up"
        ) from None


async def missing(site: Site, people: People) -> list[Step]:
    """What is to be sent, in its order.

    Raises:
        NexusError: ``invalid`` for a NexusMedia of a person's own that is none; ``unavailable`` for a chain without the
            standard deployer.
    """
    own, recorded = site.settings.web3.media_contract, await in_use(site)
    if own is not None:
        await deploy.require_media(site.rpc, own)
        return await deploy.pending(site.rpc, _grants(own, people))
    plan = Plan.of(site.settings, people.admin)
    where = {name: address.lower() for name, address in deploy.addresses(plan).items()}
    used = recorded.get(MEDIA)
    if used is not None and used != where[MEDIA] and await deploy.has_code(site.rpc, used):
        # Other settings would make other contracts; tokens stay where they are, and so do we.
        return await deploy.pending(site.rpc, _grants(used, people))
    await deploy.require_deployer(site.rpc)
    members = [people.admin] if site.is_embedded else []
    steps = deploy.deploy_transactions(plan) + deploy.role_transactions(plan, people.minters, members)
    return await deploy.pending(site.rpc, steps)


def _grants(media: str, people: People) -> list[Step]:
    return [deploy.grant_transaction(MEDIA, media, "MINTER_ROLE", minter) for minter in people.minters]


async def bring_about(site: Site, people: People, say: Say | None = None, *, is_final: bool = False) -> int:
    """Send what is missing until nothing is, and write the addresses down; how many transactions that took.

    Args:
        site: What to work with.
        people: Who takes part.
        say: Told each step that is done.
        is_final: Wait until every step is final, not only in a block.

    Raises:
        NexusError: Something is refused, or not done in time.
    """
    count = 0
    for _ in range(_WAVES):
        steps = await missing(site, people)
        if not steps:
            await _write_down(site, people)
            return count
        deployments = [step for step in steps if step.check is None]
        count += await _send(site, deployments or steps, say, is_final=is_final)
    raise unavailable(
        f"the contracts are not complete: {steps[0].name} is missing still",
        remedy="run bin/nexus up again; see bin/nexus logs chain",
    )


async def _send(site: Site, steps: Sequence[Step], say: Say | None, *, is_final: bool) -> int:
    """One wave: what can be sent now is sent at once, what needs something of it is left for the next one."""
    intents = {step.name: await _intent(site, step) for step in steps}
    outcomes = await site.transactions.submit_many(list(intents.values()))
    sent: list[tuple[Step, Intent]] = []
    for step, intent, outcome in zip(steps, intents.values(), outcomes, strict=True):
        if not isinstance(outcome, NexusError):
            sent.append((step, intent))
        elif not isinstance(outcome, Reverted):
            raise outcome
    refused = [outcome for outcome in outcomes if isinstance(outcome, NexusError)]
    if refused and not sent:
        raise refused[0]
    async with asyncio.timeout(None if is_final else _PATIENCE_S):
        for step, intent in sent:
            if is_final:
                await site.transactions.until_final(intent.key)
            else:
                await _mined(site, intent.key)
            if say is not None:
                say(step.name)
    return len(sent)


async def _intent(site: Site, step: Step) -> Intent:
    """The step's call under a key that was not used in vain yet."""
    for attempt in range(_ATTEMPTS):
        key = f"setup:{step.name}" + (f":{attempt}" if attempt else "")
        known = await site.transactions.look(key)
        if known is None or not known.is_ended:
            return Intent(key, step.to, step.data, role=ADMIN)
    raise unavailable(
        f"{step.name} was tried {_ATTEMPTS} times and is not done", remedy="see bin/nexus logs worker and the chain"
    )


async def _mined(site: Site, key: str) -> None:
    """Wait until it is in a block; what is written down about that may be of a chain that is gone, so it is asked first."""
    while True:
        await site.transactions.advance()
        found = await site.transactions.look(key)
        if found is not None and (found.is_ended or found.state == "mined"):
            return
        await asyncio.sleep(_POLL_S)


async def _write_down(site: Site, people: People) -> None:
    """The addresses in use; once there is a NexusMedia, it stays."""
    if site.settings.web3.media_contract is not None:
        return
    recorded = await in_use(site)
    if MEDIA in recorded and await deploy.has_code(site.rpc, recorded[MEDIA]):
        return
    async with acquire(site.pool) as connection:
        where = deploy.addresses(Plan.of(site.settings, people.admin))
        await contracts_db.record(connection, site.chain.chain_id, where)


async def _mend_wiped(site: Site, say: Say) -> None:
    """A chain that lost its contracts gets all that we ever sent to it again: the same bytes, so the same addresses."""
    used = (await in_use(site)).get(MEDIA)
    if used is None or site.settings.web3.media_contract is not None or await deploy.has_code(site.rpc, used):
        return
    async with acquire(site.pool) as connection, connection.transaction():
        ended = await rows_db.to_sweep(connection, site.chain.chain_id, for_h=_EVER_H, every_s=0, limit=_MOST)
        begun = await rows_db.unfinished(connection, site.chain.chain_id, after=0, limit=_MOST)
        rows = ended + [row for row in begun if row.state == "mined"]
        again = await rows_db.move(connection, [moved(row, "sent", ORPHANED) for row in rows])
    say("contracts: the chain was wiped; everything is sent to it again")
    async with asyncio.timeout(_PATIENCE_S + len(again) / 20):
        is_done = False
        while not is_done:
            await asyncio.sleep(_POLL_S)
            is_done = not await site.transactions.advance() and await deploy.has_code(site.rpc, used)


async def told(site: Site, people: People) -> str:
    """What a person has to do on a chain of others."""
    if site.settings.web3.media_contract is None and MEDIA not in await in_use(site):
        return f"{site.chain.name}: nothing is deployed yet; run bin/nexus contracts deploy"
    steps = await missing(site, people)
    if steps:
        return f"{site.chain.name}: {len(steps)} steps are missing; run bin/nexus contracts deploy"
    return f"{site.chain.name}: complete"
