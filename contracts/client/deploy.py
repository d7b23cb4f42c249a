"""What brings our contracts to where they lie, however often it is asked.

Belongs here: deployments and role grants as steps that know whether they are done.
Does not belong here: what is deployed and where (plan.py), sending the steps (transactions/), remembering where they
went (nexus_web3.contracts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contracts.client.artifacts import checksummed, load
from contracts.client.contract import Caller, role_of
from contracts.client.plan import (
    DEPLOYER,
    GOVERNOR,
    MEDIA,
    PARAMETERS,
    SPLITTER,
    TIMELOCK,
    VOTES,
    Plan,
    Rules,
    addresses,
    create2,
    creations,
)
from contracts.client.rpc.errors import Answered
from nexus.errors import Category, NexusError, invalid

__all__ = ["DEPLOYER", "GOVERNOR", "MEDIA", "PARAMETERS", "SPLITTER", "TIMELOCK", "VOTES", "Plan", "Rules", "addresses"]
_INTERFACES = {"ERC-721": "80ac58cd", "ERC-2981": "2a55205a", "ERC-4906": "49064906"}


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction of a deployment, done at most once.

    Attributes:
        name: What it does; the same for the same step, so it serves in an idempotency key.
        address: The contract that it is about.
        to: Where the transaction goes.
        data: Its bytes.
        check: A static call to ``address`` that tells whether it is done; None: done when there is code.
        is_wanted: What that call has to answer.
    """

    name: str
    address: str
    to: str
    data: bytes
    check: bytes | None = None
    is_wanted: bool = True


def deploy_transactions(plan: Plan) -> list[Step]:
    """One step for each contract, in the order in which they need each other."""
    return [
        Step(f"deploy {name}", create2(plan.salt, creation), DEPLOYER, plan.salt + creation)
        for name, creation in creations(plan).items()
    ]


def role_transactions(plan: Plan, minters: Sequence[str] = (), members: Sequence[str] = ()) -> list[Step]:
    """The grants that the admin sends after the deployment.

    Args:
        plan: What was deployed.
        minters: Addresses of the lanes that mint.
        members: The first members.
    """
    where = addresses(plan)
    governor, timelock = where[GOVERNOR], where[TIMELOCK]
    steps = [
        _grant(where, TIMELOCK, "PROPOSER_ROLE", governor),
        _grant(where, TIMELOCK, "CANCELLER_ROLE", governor),
        _grant(where, VOTES, "DEFAULT_ADMIN_ROLE", timelock),
        _grant(where, VOTES, "REGISTRAR_ROLE", timelock),
        _grant(where, MEDIA, "DEFAULT_ADMIN_ROLE", timelock),
    ]
    steps += [_grant(where, MEDIA, "MINTER_ROLE", minter) for minter in minters]
    return steps + [admit_transaction(where[VOTES], member) for member in members]


def grant_transaction(name: str, address: str, role: str, account: str, *, is_wanted: bool = True) -> Step:
    """Grant a role at a contract, or revoke it when it is not wanted."""
    artifact, who = load(name), checksummed(account)
    verb = "grantRole" if is_wanted else "revokeRole"
    return Step(
        f"{verb} {role} {who} {name}",
        checksummed(address),
        checksummed(address),
        artifact.call(f"{verb}(bytes32,address)", role_of(role), who),
        artifact.call("hasRole(bytes32,address)", role_of(role), who),
        is_wanted,
    )


def admit_transaction(votes: str, member: str) -> Step:
    """Make somebody a member."""
    artifact, who = load(VOTES), checksummed(member)
    check = artifact.call("isMember(address)", who)
    return Step(f"admit {who}", checksummed(votes), checksummed(votes), artifact.call("admit(address)", who), check)


def handover_transactions(plan: Plan) -> list[Step]:
    """The admin gives up what lets it act against the members; only the timelock is left. It keeps rotating and pausing."""
    where = addresses(plan)
    given_up = (
        (VOTES, "REGISTRAR_ROLE"),
        (VOTES, "DEFAULT_ADMIN_ROLE"),
        (MEDIA, "DEFAULT_ADMIN_ROLE"),
        (TIMELOCK, "DEFAULT_ADMIN_ROLE"),
    )
    return [_renounce(where, name, role, plan.admin) for name, role in given_up]


async def is_done(rpc: Caller, step: Step) -> bool:
    """Whether a step needs no transaction any more."""
    if step.check is None:
        return await has_code(rpc, step.address)
    if not await has_code(rpc, step.address):
        return False
    call = {"to": step.address, "data": "0x" + step.check.hex()}
    return bool(int(await rpc.call("eth_call", [call, "latest"]), 16)) == step.is_wanted


async def pending(rpc: Caller, steps: Sequence[Step]) -> list[Step]:
    """The steps that are not done, in their order."""
    return [step for step in steps if not await is_done(rpc, step)]


async def has_code(rpc: Caller, address: str) -> bool:
    """Whether a contract lies at an address."""
    code: Any = await rpc.call("eth_getCode", [address, "latest"])
    return len(code) > len("0x")


async def require_deployer(rpc: Caller) -> None:
    """Refuse a chain without the standard deployer.

    Raises:
        NexusError: category ``unavailable`` with what to do.
    """
    if not await has_code(rpc, DEPLOYER):
        raise NexusError(
            "this chain lacks the standard deterministic deployer",
            category=Category.UNAVAILABLE,
            field="web3.chain",
            value=DEPLOYER,
            remedy="have it deployed once for everybody (github.com/Arachnid/deterministic-deployment-proxy), or deploy "
            "NexusMedia by other means and set web3.media_contract",
        )


async def require_media(rpc: Caller, address: str) -> None:
    """Refuse an address where no such token contract lies.

    Raises:
        NexusError: category ``invalid``.
    """
    lacks = ["any code"]
    if await has_code(rpc, address):
        lacks = [
            standard for standard, interface in _INTERFACES.items() if not await _supports(rpc, address, interface)
        ]
    if lacks:
        raise invalid(
            f"that contract has not {', '.join(lacks)}",
            field="web3.media_contract",
            value=address,
            remedy="check the address and web3.chain, or unset it: then we deploy our own",
        )


async def _supports(rpc: Caller, address: str, interface: str) -> bool:
    """What a contract says of an interface; anything but a plain "yes" is a "no": it may be no such contract at all."""
    data = load(MEDIA).call("supportsInterface(bytes4)", bytes.fromhex(interface))
    try:
        answer = await rpc.call("eth_call", [{"to": checksummed(address), "data": "0x" + data.hex()}, "latest"])
    except Answered:
        return False
    return bytes.fromhex(answer[2:]) == (1).to_bytes(32, "big")


def _grant(where: dict[str, str], name: str, role: str, account: str) -> Step:
    return grant_transaction(name, where[name], role, account)


def _renounce(where: dict[str, str], name: str, role: str, account: str) -> Step:
    artifact, address = load(name), where[name]
    return Step(
        f"renounceRole {role} {name}",
        address,
        address,
        artifact.call("renounceRole(bytes32,address)", role_of(role), account),
        artifact.call("hasRole(bytes32,address)", role_of(role), account),
        is_wanted=False,
    )
