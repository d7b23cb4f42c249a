"""Where our contracts lie and what brings them there, the same on every chain and however often it is asked.

Belongs here: addresses (CREATE2 through the standard deployer), deployments and role grants as steps that know whether
they are done. Does not belong here: sending the steps (transactions/), remembering where they went (nexus_web3.contracts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from contracts.client.artifacts import checksummed, load
from contracts.client.contract import Caller, role_of
from contracts.client.media import checked_bps
from contracts.client.rpc.errors import Answered
from contracts.client.splitter import Payee, checked_payees
from nexus.errors import Category, NexusError, invalid

if TYPE_CHECKING:
    from nexus.settings import Settings

# https://github.com/Arachnid/deterministic-deployment-proxy: calldata is a salt of 32 bytes and the code to create.
DEPLOYER = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
VOTES, TIMELOCK, GOVERNOR = "NexusVotes", "TimelockController", "NexusGovernor"
PARAMETERS, SPLITTER, MEDIA = "NexusParameters", "NexusSplitter", "NexusMedia"
CONTRACT_URI = (
    'data:application/json,{"name":"NEXUS Media","description":"Titles of a media server, each at most once."}'
)
ANYBODY = "0x" + "0" * 40
_TREASURY_SHARES, _MEMBERS_SHARES = 80, 20
_DAY_S = 86_400
_INTERFACES = {"ERC-721": "80ac58cd", "ERC-2981": "2a55205a", "ERC-4906": "49064906"}


@dataclass(frozen=True, slots=True)
class Rules:
    """How members vote, in seconds, because blocks take differently long on each chain.

    Attributes:
        voting_delay_s: Between a proposal and the vote.
        voting_period_s: How long a vote lasts.
        threshold: Votes that a proposer needs.
        quorum_percent: Share of all votes that must be for or abstain.
        late_quorum_s: How long a vote still lasts after its quorum was reached late.
        timelock_s: Between the decision and its execution.
    """

    voting_delay_s: int = _DAY_S
    voting_period_s: int = 7 * _DAY_S
    threshold: int = 1
    quorum_percent: int = 25
    late_quorum_s: int = 2 * _DAY_S
    timelock_s: int = 2 * _DAY_S


# On a chain of one's own nobody has to be given days to read a proposal.
EMBEDDED_RULES = Rules(voting_delay_s=1, voting_period_s=60, late_quorum_s=10, timelock_s=5)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is deployed; the same plan has the same addresses everywhere.

    Attributes:
        admin: Who gets the roles first; whose key sends the grants.
        treasury: Gets the larger part of royalties.
        royalty_bps: Default royalty of a sale.
        payees: Who shares royalties; empty: 80 % the treasury, 20 % the members' timelock.
        rules: How members vote.
        contract_uri: Metadata of the collection (ERC-7572).
        salt: Another salt gives other addresses for the same plan.
    """

    admin: str
    treasury: str
    royalty_bps: int = 500
    payees: tuple[Payee, ...] = ()
    rules: Rules = field(default_factory=Rules)
    contract_uri: str = CONTRACT_URI
    salt: bytes = bytes(32)

    @classmethod
    def of(cls, settings: Settings, admin: str) -> Self:
        """The platform's plan.

        Args:
            settings: The platform's.
            admin: Address of the key that deploys and grants.
        """
        is_own_chain = settings.web3.chain == "anvil"
        return cls(
            admin=admin,
            treasury=settings.web3.treasury or admin,
            royalty_bps=settings.web3.royalty_bps,
            rules=EMBEDDED_RULES if is_own_chain else Rules(),
        )


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


def addresses(plan: Plan) -> dict[str, str]:
    """Contract -> address."""
    return {name: create2(plan.salt, creation) for name, creation in _creations(plan).items()}


def deploy_transactions(plan: Plan) -> list[Step]:
    """One step for each contract, in the order in which they need each other."""
    return [
        Step(f"deploy {name}", create2(plan.salt, creation), DEPLOYER, plan.salt + creation)
        for name, creation in _creations(plan).items()
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


def create2(salt: bytes, creation: bytes) -> str:
    """The address at which the standard deployer creates a contract."""
    from eth_utils.crypto import keccak

    seed = b"\xff" + bytes.fromhex(DEPLOYER[2:]) + salt + keccak(creation)
    return checksummed("0x" + keccak(seed)[12:].hex())


def _creations(plan: Plan) -> dict[str, bytes]:
    """Contract -> code and constructor arguments, in the order in which they need each other."""
    if len(plan.salt) != len(bytes(32)):
        raise invalid("a salt is 32 bytes", field="salt", value=plan.salt.hex(), remedy="pad it with zeros")
    admin, treasury = _somebody("admin", plan.admin), _somebody("treasury", plan.treasury)
    made: dict[str, bytes] = {}

    def add(name: str, *arguments: Any) -> str:
        made[name] = load(name).creation(*arguments)
        return create2(plan.salt, made[name])

    rules = plan.rules
    votes = add(VOTES, "NEXUS Membership", "NEXUSM", admin)
    timelock = add(TIMELOCK, rules.timelock_s, [], [ANYBODY], admin)
    numbers = (
        rules.voting_delay_s,
        rules.voting_period_s,
        rules.threshold,
        rules.quorum_percent,
        rules.late_quorum_s,
    )
    add(GOVERNOR, votes, timelock, numbers)
    add(PARAMETERS, timelock)
    default = (Payee(treasury, _TREASURY_SHARES), Payee(timelock, _MEMBERS_SHARES))
    payees = checked_payees(plan.payees or default)
    splitter = add(SPLITTER, [payee.address for payee in payees], [payee.shares for payee in payees])
    add(MEDIA, "NEXUS Media", "NEXUS", plan.contract_uri, admin, splitter, checked_bps(plan.royalty_bps))
    return made


def _somebody(name: str, address: str) -> str:
    checked = checksummed(address)
    if checked == ANYBODY:
        raise invalid(
            "the zero address can be nobody's", field=name, value=address, remedy="name an address that somebody holds"
        )
    return checked


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
