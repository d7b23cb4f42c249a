"""What of ours is deployed, with which arguments, and so where: the same plan has the same addresses on every chain.

Belongs here: the plan, its checks, addresses (CREATE2 through the standard deployer).
Does not belong here: the transactions that bring it about (deploy.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from contracts.client.artifacts import checksummed, load
from contracts.client.media import checked_bps
from contracts.client.splitter import Payee, checked_payees
from nexus.errors import invalid

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


def addresses(plan: Plan) -> dict[str, str]:
    """Contract -> address."""
    return {name: create2(plan.salt, creation) for name, creation in creations(plan).items()}


def create2(salt: bytes, creation: bytes) -> str:
    """The address at which the standard deployer creates a contract."""
    from eth_utils.crypto import keccak

    seed = b"\xff" + bytes.fromhex(DEPLOYER[2:]) + salt + keccak(creation)
    return checksummed("0x" + keccak(seed)[12:].hex())


def creations(plan: Plan) -> dict[str, bytes]:
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
