"""Activities that decide what a mint does and write down what came of it. All idempotent.

Belongs here: the checks of a request, the frozen plan, the record. Does not belong here: the transaction
(workflows.activities.transactions), pins (workflows.activities.pins), the signature (workflows.activities.manifest).
"""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
from temporalio import activity

from nexus.db.content import ContentRecord, find_content
from nexus.db.mints import Mint, find_mint, forget_mint, mint_of, store_mint
from nexus.db.pool import acquire
from nexus.db.tokens import Token, record_token, token_on
from nexus.errors import NexusError, invalid, not_found, unavailable
from nexus.token_metadata import manifest, of_title
from workflows.activities import names
from workflows.activities.edge import heartbeating, translated
from workflows.activities.transactions import intent
from workflows.activities.web3 import MEDIA, Web3
from workflows.messages import Acknowledged
from workflows.web3_messages import (
    Call,
    MintPlan,
    MintRecord,
    MintResult,
    MintTarget,
    MintTask,
    Ownership,
    PlanTask,
)

ZERO = "0x" + "0" * 40


class MintActivities:
    """Decides and records."""

    def __init__(self, web3: Web3) -> None:
        self._web3 = web3

    @activity.defn(name=names.VALIDATE_MINT)
    @translated
    async def validate(self, task: MintTask) -> MintTarget:
        """Where and for whom; a title that has its token already says so."""
        request, chain = task.request, self._web3.chain
        contract = await self._web3.contract(MEDIA)
        await self._title(task)
        async with acquire(self._web3.pool) as connection:
            known = await token_on(connection, request.content_id, chain.chain_id, contract)
        return MintTarget(
            content_id=request.content_id,
            operation_id=task.operation_id,
            run_id=task.run_id,
            chain_id=chain.chain_id,
            chain=chain.name,
            contract=contract,
            to=known.owner if known is not None else await self._destination(request.to),
            royalty_bps=request.royalty_bps,
            minted=None if known is None else _result(known),
        )

    @activity.defn(name=names.MAKE_METADATA)
    @translated
    async def metadata(self, target: MintTarget) -> MintPlan:
        """Freeze what the token will say; an earlier attempt that may still reach the chain is taken over as it is."""
        async with heartbeating("metadata"):
            async with acquire(self._web3.pool) as connection:
                known = await find_mint(connection, target.chain_id, target.contract, target.content_id)
                title = await find_content(connection, target.content_id)
            if known is not None and not (known.run_id != target.run_id and await self._is_over(known)):
                return self._plan(target, known)
            if title is None:
                raise _no_title(target.content_id)
            replaces = None if known is None else known.transaction_key
            async with acquire(self._web3.pool) as connection:
                stored = await store_mint(connection, _mint(target, title), replaces=replaces)
        return self._plan(target, stored)

    @activity.defn(name=names.FIND_OWNER)
    @translated
    async def owner(self, task: PlanTask) -> Ownership:
        """Who has the token on the chain."""
        async with heartbeating("chain"):
            media = await self._web3.media()
            owner = await self._web3.asked(media.owner_of(int(task.plan.token_id)))
        return Ownership(owner=None if owner is None else owner.lower())

    @activity.defn(name=names.RECORD_TOKEN)
    @translated
    async def record(self, record: MintRecord) -> MintResult:
        """Write the final token down, once the chain itself says that it is there."""
        plan = record.plan
        async with heartbeating("chain"):
            media = await self._web3.media()
            if await self._web3.asked(media.owner_of(int(plan.token_id))) is None:
                raise unavailable("the chain does not show the token yet", remedy="it is asked again")
        token = await self._token(record)
        async with acquire(self._web3.pool) as connection:
            await record_token(connection, token)
            known = await token_on(connection, plan.content_id, plan.chain_id, plan.contract)
        return _result(known or token)

    @activity.defn(name=names.FORGET_MINT)
    @translated
    async def forget(self, task: PlanTask) -> Acknowledged:
        """Remove the plan of a mint that ended without a token."""
        async with acquire(self._web3.pool) as connection:
            await forget_mint(connection, task.plan.call.key)
        return Acknowledged()

    async def _title(self, task: MintTask) -> ContentRecord:
        async with acquire(self._web3.pool) as connection:
            title = await find_content(connection, task.request.content_id)
        if title is None:
            raise _no_title(task.request.content_id)
        return title

    async def _destination(self, wished: str | None) -> str:
        """The owner to be: as asked, else the treasury, else the platform's own first key."""
        from contracts.client.artifacts import checksummed

        chosen = wished or self._web3.settings.web3.treasury or await self._own_address()
        try:
            address = checksummed(chosen).lower()
        except NexusError as error:
            raise invalid(error.message, field="to", value=chosen, remedy=error.remedy or "") from None
        if address == ZERO:
            raise invalid(
                "nobody can own a token at the zero address",
                field="to",
                value=chosen,
                remedy="leave it out (the platform's treasury gets it), or send an address that somebody holds",
            )
        return address

    async def _own_address(self) -> str:
        for role in ("admin", "minter"):
            address = await self._web3.lane(role)
            if address is not None:
                return address
        raise unavailable("no key of the platform is in use yet", remedy="see bin/nexus keys list and bin/nexus status")

    async def _is_over(self, known: Mint) -> bool:
        """Whether an earlier attempt can't make a token any more. One that was never submitted is closed first."""
        found = await self._web3.transactions.look(known.transaction_key)
        if found is None:
            found = await self._web3.transactions.close(intent(self._call(known)))
        return found.state in {"failed", "cancelled"}

    def _call(self, mint: Mint) -> Call:
        from contracts.client.media import Media

        media = Media(self._web3.rpc, mint.contract_address)
        data = media.mint(mint.to_address, int(mint.token_id), mint.royalty_bps)
        return Call(key=mint.transaction_key, to=mint.contract_address, data="0x" + data.hex(), role="minter")

    def _plan(self, target: MintTarget, mint: Mint) -> MintPlan:
        return MintPlan(
            content_id=mint.content_id,
            chain_id=mint.chain_id,
            chain=target.chain,
            contract=mint.contract_address,
            to=mint.to_address,
            royalty_bps=mint.royalty_bps,
            token_id=mint.token_id,
            metadata_cid=mint.metadata_cid,
            metadata_bytes=len(mint.metadata),
            metadata_uri=f"ipfs://{mint.metadata_cid}",
            call=self._call(mint),
        )

    async def _token(self, record: MintRecord) -> Token:
        plan, view = record.plan, record.transaction
        async with acquire(self._web3.pool) as connection:
            mint = await mint_of(connection, plan.call.key)
        said = manifest_of(plan)
        royalty = self._web3.settings.web3.royalty_bps if plan.royalty_bps is None else plan.royalty_bps
        return Token(
            content_id=plan.content_id,
            token_id=plan.token_id,
            contract=plan.contract,
            chain_id=plan.chain_id,
            chain=plan.chain,
            owner=plan.to,
            creator=view.sender or plan.to,
            royalty_bps=royalty,
            metadata_uri=plan.metadata_uri,
            metadata_cid=plan.metadata_cid,
            tx_hash=view.tx_hash or "",
            block_number=view.block_number or 0,
            block_hash=view.block_hash,
            manifest=orjson.loads(said),
            manifest_signature=None if mint is None else mint.manifest_signature,
            manifest_public_key=None if mint is None else mint.manifest_public_key,
            operation_id=record.operation_id,
            minted_at=datetime.now(UTC),
        )


def manifest_of(plan: MintPlan) -> bytes:
    """The manifest of a plan."""
    return manifest(
        content_id=plan.content_id,
        cid=plan.metadata_cid,
        token_id=int(plan.token_id),
        chain_id=plan.chain_id,
        contract=plan.contract,
        to=plan.to,
    )


def _mint(target: MintTarget, title: ContentRecord) -> Mint:
    from contracts.client.ipfs import cids

    metadata = of_title(title)
    cid = cids.raw_cid(metadata)
    return Mint(
        chain_id=target.chain_id,
        contract_address=target.contract,
        content_id=target.content_id,
        operation_id=target.operation_id,
        run_id=target.run_id,
        transaction_key=f"{target.operation_id}-{target.run_id}",
        to_address=target.to,
        royalty_bps=target.royalty_bps,
        token_id=str(cids.token_id(cid)),
        metadata=metadata,
        metadata_cid=cid,
    )


def _result(token: Token) -> MintResult:
    return MintResult(
        token_id=token.token_id,
        contract=token.contract,
        chain_id=token.chain_id,
        tx_hash=token.tx_hash,
        block_number=token.block_number,
        metadata_uri=token.metadata_uri,
        owner=token.owner,
    )


def _no_title(content_id: object) -> NexusError:
    return not_found(
        "there is no such title", field="content_id", value=content_id, remedy="take the id from bin/nexus search"
    )
