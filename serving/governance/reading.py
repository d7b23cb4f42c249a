"""Royalties and the members' decisions, read from the chain.

Belongs here: which calls make up a state, as plain data with amounts as decimal strings.
Does not belong here: when to ask and what to keep (service), the contracts (contracts.client).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from serving.wallets import evm

if TYPE_CHECKING:
    from contracts.client.artifacts import Log
    from contracts.client.governor import Governor
    from contracts.client.rpc.pool import Rpc

LOOK_BACK_BLOCKS: Final = 50_000
"""Nodes of public chains refuse to search further at once; older proposals are in the lake's tables."""
SHOWN: Final = 20
Addresses = Mapping[str, str]


async def royalties(rpc: Rpc, addresses: Addresses) -> dict[str, Any]:
    """The default royalty, and what the splitter holds for whom."""
    from contracts.client.media import Media

    answer: dict[str, Any] = {"contract": None, "receiver": None, "royalty_bps": None, "splitter": None, "payees": []}
    if "NexusMedia" in addresses:
        media = Media(rpc, addresses["NexusMedia"])
        receiver, bps = await media.default_royalty()
        answer |= {"contract": media.address, "receiver": receiver, "royalty_bps": bps}
    if "NexusSplitter" in addresses:
        answer |= await _splitter(rpc, addresses["NexusSplitter"])
    return answer


async def _splitter(rpc: Rpc, address: str) -> dict[str, Any]:
    from contracts.client.splitter import Splitter

    splitter = Splitter(rpc, address)
    payees = await splitter.payees()
    due = await asyncio.gather(*(splitter.releasable(one.address) for one in payees))
    paid = await asyncio.gather(*(splitter.released(one.address) for one in payees))
    lines = [
        {
            "address": evm.checksum(one.address),
            "shares": str(one.shares),
            "releasable_wei": str(owed),
            "released_wei": str(got),
        }
        for one, owed, got in zip(payees, due, paid, strict=True)
    ]
    return {"splitter": splitter.address, "payees": lines}


async def governance(rpc: Rpc, addresses: Addresses) -> dict[str, Any]:
    """Members, rules, what the members hold and decided, and the newest proposals."""
    answer: dict[str, Any] = {
        "governor": None,
        "members": None,
        "rules": None,
        "timelock": None,
        "treasury_wei": None,
        "parameters": {},
        "proposals": [],
    }
    if "NexusVotes" in addresses:
        from contracts.client.votes import Votes

        answer["members"] = await Votes(rpc, addresses["NexusVotes"]).member_count()
    if "NexusParameters" in addresses:
        from contracts.client.parameters import Parameters

        values = await Parameters(rpc, addresses["NexusParameters"]).values()
        answer["parameters"] = {key: str(value) for key, value in values.items()}
    if "TimelockController" in addresses:
        timelock = evm.checksum(addresses["TimelockController"])
        answer |= {
            "timelock": timelock,
            "treasury_wei": str(int(await rpc.call("eth_getBalance", [timelock, "latest"]), 16)),
        }
    if "NexusGovernor" in addresses:
        answer |= await _governor(rpc, addresses)
    return answer


async def _governor(rpc: Rpc, addresses: Addresses) -> dict[str, Any]:
    from contracts.client.governor import Governor

    governor = Governor(rpc, addresses["NexusGovernor"])
    names = ("votingDelay()", "votingPeriod()", "proposalThreshold()", "quorumNumerator()")
    delay, period, threshold, quorum = await asyncio.gather(*(governor.read(name) for name in names))
    rules = {
        "voting_delay_s": int(delay),
        "voting_period_s": int(period),
        "proposal_threshold": str(threshold),
        "quorum_percent": int(quorum),
        "execution_delay_s": None,
    }
    if "TimelockController" in addresses:
        from contracts.client.timelock import Timelock

        rules["execution_delay_s"] = await Timelock(rpc, addresses["TimelockController"]).min_delay_s()
    head = int(await rpc.call("eth_blockNumber"), 16)
    made = await governor.logs("ProposalCreated", max(0, head - LOOK_BACK_BLOCKS))
    proposals = await asyncio.gather(*(_proposal(governor, log) for log in reversed(made[-SHOWN:])))
    return {"governor": governor.address, "rules": rules, "proposals": list(proposals)}


async def _proposal(governor: Governor, log: Log) -> dict[str, Any]:
    number = int(log.arguments["proposalId"])
    state, tally, deadline, eta = await asyncio.gather(
        governor.state(number), governor.tally(number), governor.deadline_s(number), governor.eta_s(number)
    )
    return {
        "proposal_id": str(number),
        "description": str(log.arguments["description"])[:2_000],
        "proposer": evm.checksum(log.arguments["proposer"]),
        "state": str(state),
        "votes_for": str(tally.in_favour),
        "votes_against": str(tally.against),
        "votes_abstained": str(tally.abstained),
        "deadline_s": deadline,
        "executable_from_s": eta or None,
    }
