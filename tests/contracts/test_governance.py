"""Members propose, vote, wait and execute: over memberships and over votes that can be bought."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from contracts.client.artifacts import load
from contracts.client.deploy import GOVERNOR, MEDIA, PARAMETERS, TIMELOCK, VOTES, handover_transactions
from contracts.client.governor import Action, Governor, Proposal, State, Support, Tally
from contracts.client.parameters import Parameters, key_bytes
from contracts.client.timelock import Timelock, operation_id
from contracts.client.votes import Votes
from contracts.devnode import DevNode, Refused
from nexus.errors import Category, NexusError
from tests.contracts.house import RULES, ZERO, At, House, created, for_tests
from tests.contracts.nodes import AsyncNode

pytestmark = pytest.mark.integration

PROPOSE, HASHED = "propose(address[],uint256[],bytes[],string)", "(address[],uint256[],bytes[],bytes32)"
QUEUE, EXECUTE, CANCEL = f"queue{HASHED}", f"execute{HASHED}", f"cancel{HASHED}"
VOTE = "castVote(uint256,uint8)"
ADMIT, REMOVE = "admit(address)", "remove(address)"
AGAINST, FOR, ABSTAIN = Support


@dataclass(frozen=True)
class Council:
    """A governor, its timelock, and who may vote."""

    node: DevNode
    governor: At
    timelock: At
    voters: list[str]

    def proposed(self, *actions: Action, description: str = "Do it", is_open: bool = True) -> Proposal:
        """A proposal that can be voted on."""
        made = Proposal.of(actions, description)
        self.governor.send(PROPOSE, *made.lists, made.description, sender=self.voters[0])
        if is_open:
            self.node.advance(RULES.voting_delay_s + 1)
        return made

    def vote(self, proposal: Proposal, *says: Support) -> None:
        """Votes of the first voters."""
        for voter, say in zip(self.voters, says, strict=False):
            self.governor.send(VOTE, proposal.id, int(say), sender=voter)

    def decided(self, *actions: Action, description: str = "Do it") -> Proposal:
        """A proposal that succeeded, was queued, and whose delay is over."""
        made = self.proposed(*actions, description=description)
        self.vote(made, FOR, FOR, FOR)
        self.node.advance(RULES.voting_period_s + 1)
        self.governor.send(QUEUE, *made.hashed, sender=self.node.accounts[9])
        self.node.advance(RULES.timelock_s + 1)
        return made

    def state(self, proposal: Proposal) -> State:
        return list(State)[self.governor.read("state(uint256)", proposal.id)]


@pytest.fixture(params=["memberships", "tokens"])
def council(request: pytest.FixtureRequest, house: House) -> Council:
    if request.param == "memberships":
        return Council(house.node, house.at(GOVERNOR), house.at(TIMELOCK), house.members)
    return bought(house)


def bought(house: House) -> Council:
    """A governor over an ERC-20 with votes, one token a voter."""
    node, voters = house.node, house.members
    votes = created(node, for_tests("VotesToken"))
    for voter in voters:
        votes.send("mint(address,uint256)", voter, 1, sender=voter)
        votes.send("delegate(address)", voter, sender=voter)
    lock = created(node, load(TIMELOCK), RULES.timelock_s, [], [ZERO], house.admin)
    rules = (RULES.voting_delay_s, RULES.voting_period_s, 1, RULES.quorum_percent, RULES.late_quorum_s)
    governor = created(node, load(GOVERNOR), votes.address, lock.address, rules)
    for role in ("PROPOSER_ROLE", "CANCELLER_ROLE"):
        lock.send("grantRole(bytes32,address)", lock.read(f"{role}()"), governor.address, sender=house.admin)
    node.advance(1)
    return Council(node, governor, lock, voters)


@pytest.fixture
def target(council: Council) -> At:
    return created(council.node, for_tests("Target"))


def to_set(target: At, value: int, coin: int = 0) -> Action:
    return Action(target.address, target.artifact.call("set(uint256)", value), coin)


def test_proposal__that_passes__is_executed_after_both_delays(council: Council, target: At) -> None:
    made = council.proposed(to_set(target, 7), is_open=False)
    governor, anybody = council.governor, council.node.accounts[9]
    assert council.state(made) is State.PENDING
    assert governor.refusal(VOTE, made.id, 1, sender=council.voters[0]).startswith("GovernorUnexpectedProposalState(")
    council.node.advance(RULES.voting_delay_s + 1)
    assert council.state(made) is State.ACTIVE
    council.vote(made, FOR, FOR, AGAINST)
    assert governor.refusal(QUEUE, *made.hashed, sender=anybody).startswith("GovernorUnexpectedProposalState(")
    council.node.advance(RULES.voting_period_s + 1)
    assert council.state(made) is State.SUCCEEDED
    governor.send(QUEUE, *made.hashed, sender=anybody)
    assert council.state(made) is State.QUEUED
    assert governor.refusal(EXECUTE, *made.hashed, sender=anybody).startswith("TimelockUnexpectedOperationState(")
    council.node.advance(RULES.timelock_s + 1)
    governor.send(EXECUTE, *made.hashed, sender=anybody)
    assert (council.state(made), target.read("value()")) == (State.EXECUTED, 7)
    assert governor.refusal(EXECUTE, *made.hashed, sender=anybody).startswith("GovernorUnexpectedProposalState(")


@pytest.mark.parametrize(
    ("says", "outcome"),
    [
        ((FOR,), State.DEFEATED),  # a third is no quorum
        ((FOR, ABSTAIN), State.SUCCEEDED),
        ((FOR, AGAINST), State.DEFEATED),
        ((AGAINST, AGAINST, FOR), State.DEFEATED),
        ((ABSTAIN, ABSTAIN, ABSTAIN), State.DEFEATED),
        ((), State.DEFEATED),
    ],
    ids=["no quorum", "quorum by abstaining", "tie", "majority against", "nobody decides", "nobody votes"],
)
def test_proposal__once_voted_on__is_decided_by_majority_and_quorum(
    council: Council, target: At, says: tuple[Support, ...], outcome: State
) -> None:
    made = council.proposed(to_set(target, 7))
    council.vote(made, *says)
    council.node.advance(RULES.voting_period_s + RULES.late_quorum_s + 1)
    assert council.state(made) is outcome


def test_proposal__whose_action_reverts__stays_queued_and_changes_nothing(council: Council, target: At) -> None:
    fails = Action(target.address, target.artifact.call("fail(uint256)", 3))
    made = council.decided(to_set(target, 7), fails)
    call = council.governor.artifact.call(EXECUTE, *made.hashed)
    with pytest.raises(Refused) as caught:
        council.node.send(council.governor.address, call, sender=council.voters[0])
    assert target.artifact.error(caught.value.data) == "NotToday(3)"
    assert (council.state(made), target.read("value()")) == (State.QUEUED, 0)


def test_treasury__by_a_vote__pays_coin_and_tokens(council: Council, target: At) -> None:
    payee, coin = "0x" + "ab" * 20, created(council.node, for_tests("PlainToken"))
    council.node.send(council.timelock.address, value=1000)
    coin.send("mint(address,uint256)", council.timelock.address, 500, sender=council.voters[0])
    council_pays = (
        Action(payee, b"", 700),
        Action(coin.address, coin.artifact.call("transfer(address,uint256)", payee, 200)),
        to_set(target, 1, coin=300),
    )
    made = council.decided(*council_pays)
    council.governor.send(EXECUTE, *made.hashed, sender=council.voters[0])
    assert council.node.balance(payee) == 700
    assert (council.node.balance(council.timelock.address), council.node.balance(target.address)) == (0, 300)
    assert coin.read("balanceOf(address)", payee) == 200


def test_treasury__that_has_too_little__executes_nothing(council: Council) -> None:
    made = council.decided(Action(council.node.accounts[9], b"", 10**30))
    assert council.governor.refusal(EXECUTE, *made.hashed, sender=council.voters[0])
    assert council.state(made) is State.QUEUED


def test_vote__with_a_late_quorum__lasts_longer(council: Council, target: At) -> None:
    made = council.proposed(to_set(target, 7))
    deadline = council.governor.read("proposalDeadline(uint256)", made.id)
    council.vote(made, FOR)
    council.node.advance(RULES.voting_period_s - 10)
    council.governor.send(VOTE, made.id, int(FOR), sender=council.voters[1])
    later = council.governor.read("proposalDeadline(uint256)", made.id)
    assert deadline < later <= deadline + RULES.late_quorum_s
    council.governor.send(VOTE, made.id, int(AGAINST), sender=council.voters[2])


def test_proposal__before_the_vote__is_cancelled_by_its_proposer_only(council: Council, target: At) -> None:
    made = council.proposed(to_set(target, 7), is_open=False)
    said = council.governor.refusal(CANCEL, *made.hashed, sender=council.voters[1])
    assert said.startswith("GovernorUnableToCancel(")
    council.governor.send(CANCEL, *made.hashed, sender=council.voters[0])
    assert council.state(made) is State.CANCELED


def test_vote__twice_or_of_another_kind__is_refused(council: Council, target: At) -> None:
    made = council.proposed(to_set(target, 7))
    council.vote(made, FOR)
    voter, governor = council.voters[0], council.governor
    assert governor.refusal(VOTE, made.id, 0, sender=voter).startswith("GovernorAlreadyCastVote(")
    assert governor.refusal(VOTE, made.id, 3, sender=council.voters[1]) == "GovernorInvalidVoteType()"


def test_proposal__of_a_stranger__is_refused(council: Council, target: At) -> None:
    made = Proposal.of([to_set(target, 7)], "Mine")
    said = council.governor.refusal(PROPOSE, *made.lists, made.description, sender=council.node.accounts[9])
    assert said.startswith("GovernorInsufficientProposerVotes(")


def test_proposal__made_twice__is_refused(council: Council, target: At) -> None:
    made = council.proposed(to_set(target, 7))
    said = council.governor.refusal(PROPOSE, *made.lists, made.description, sender=council.voters[1])
    assert said.startswith("GovernorUnexpectedProposalState(")


@pytest.mark.parametrize("contract", ["timelock", "governor"])
def test_rules__changed_by_anybody_but_a_vote__are_refused(council: Council, contract: str) -> None:
    at: At = getattr(council, contract)
    call = ("updateDelay(uint256)", 0) if contract == "timelock" else ("setVotingPeriod(uint32)", 1)
    assert at.refusal(*call, sender=council.voters[0])


def test_rules__changed_by_a_vote__change(council: Council) -> None:
    call = council.governor.artifact.call("setVotingPeriod(uint32)", 50)
    made = council.decided(Action(council.governor.address, call))
    council.governor.send(EXECUTE, *made.hashed, sender=council.voters[0])
    assert council.governor.read("votingPeriod()") == 50


# Memberships.


@pytest.mark.parametrize(
    ("signature", "more"),
    [
        ("approve(address,uint256)", ()),
        ("transferFrom(address,address,uint256)", ()),
        ("safeTransferFrom(address,address,uint256)", ()),
        ("setApprovalForAll(address,bool)", ()),
    ],
)
def test_membership__handed_to_somebody__is_refused(house: House, signature: str, more: tuple[object, ...]) -> None:
    member, votes = house.members[0], house.at(VOTES)
    token_id = int(member, 16)
    words: dict[str, tuple[object, ...]] = {
        "approve(address,uint256)": (house.other, token_id),
        "setApprovalForAll(address,bool)": (house.other, True),
    }
    arguments = words.get(signature, (member, house.other, token_id))
    assert votes.refusal(signature, *arguments, *more, sender=member) == "NotTransferable()"
    assert votes.read("locked(uint256)", token_id) is True


def test_membership__admitted__has_one_vote_of_its_own(house: House) -> None:
    votes, new = house.at(VOTES), house.stranger
    receipt = votes.send(ADMIT, new, sender=house.admin)
    assert {"Transfer", "Locked", "DelegateVotesChanged"} <= {log.name for log in votes.logs(receipt)}
    assert (votes.read("getVotes(address)", new), votes.read("memberCount()")) == (1, 4)
    assert votes.refusal(ADMIT, new, sender=house.admin) == f"AlreadyAMember({new})"
    assert votes.refusal(ADMIT, ZERO, sender=house.admin).startswith("ERC721InvalidReceiver(")
    assert votes.refusal(ADMIT, house.other, sender=new).startswith("AccessControlUnauthorizedAccount(")


def test_membership__ended__takes_its_vote_along(house: House) -> None:
    votes, (one, two, _) = house.at(VOTES), house.members
    votes.send("delegate(address)", one, sender=two)
    assert votes.read("getVotes(address)", one) == 2
    votes.send("resign()", sender=two)
    votes.send(REMOVE, one, sender=house.admin)
    assert (votes.read("getVotes(address)", one), votes.read("memberCount()")) == (0, 1)
    assert votes.refusal("resign()", sender=two) == f"NotAMember({two})"
    assert votes.refusal(REMOVE, one, sender=house.admin) == f"NotAMember({one})"


def test_votes__got_after_the_proposal__do_not_count(house: House) -> None:
    council = Council(house.node, house.at(GOVERNOR), house.at(TIMELOCK), house.members)
    made = council.proposed(Action(house.other), is_open=True)
    house.at(VOTES).send(ADMIT, house.stranger, sender=house.admin)
    council.governor.send(VOTE, made.id, 1, sender=house.stranger)
    assert council.governor.read("proposalVotes(uint256)", made.id) == (0, 0, 0)


# The platform's own contracts, through the wrappers.


@pytest.mark.parametrize("who", ["admin", "members"])
def test_parameters__set_by_anybody_but_a_vote__are_refused(house: House, who: str) -> None:
    account = house.admin if who == "admin" else house.members[0]
    parameters = house.at(PARAMETERS)
    said = parameters.refusal("set(bytes32,uint256)", key_bytes("royalty_bps"), 1, sender=account)
    assert said == f"OwnableUnauthorizedAccount({account})"


def test_parameters__of_no_name_or_not_there__are_refused_to_the_timelock_too(house: House) -> None:
    parameters, timelock = house.at(PARAMETERS), house.where[TIMELOCK]
    assert parameters.refusal("set(bytes32,uint256)", bytes(32), 1, sender=timelock) == "EmptyKey()"
    said = parameters.refusal("remove(bytes32)", key_bytes("nothing"), sender=timelock)
    assert said == f"UnknownKey(0x{key_bytes('nothing').hex()})"


async def test_wrappers__of_a_whole_vote__tell_where_it_stands(house: House, rpc: AsyncNode) -> None:
    governor, parameters = Governor(rpc, house.where[GOVERNOR]), Parameters(rpc, house.where[PARAMETERS])
    timelock, node, (one, two, _) = Timelock(rpc, house.where[TIMELOCK]), house.node, house.members
    votes = Votes(rpc, house.where[VOTES])
    assert (await votes.member_count(), await votes.votes_of(one), await votes.is_member(house.other)) == (3, 1, False)
    actions = [
        Action(parameters.address, parameters.set("royalty_bps", 250)),
        Action(parameters.address, parameters.set("mint_limit", 9)),
        Action(parameters.address, parameters.remove("mint_limit")),
    ]
    made = Proposal.of(actions, "Lower the royalty")
    node.send(governor.address, governor.propose(made), sender=one)

    assert await governor.state(made.id) is State.PENDING
    assert await governor.find(made.id) == made
    node.advance(RULES.voting_delay_s + 1)
    node.send(governor.address, governor.vote(made.id, FOR, "cheaper"), sender=one)
    node.send(governor.address, governor.vote(made.id, FOR), sender=two)
    snapshot = await governor.snapshot_s(made.id)
    assert await governor.tally(made.id) == Tally(against=0, in_favour=2, abstained=0)
    assert await governor.has_voted(made.id, one)
    assert (await governor.quorum_at(snapshot), await votes.total_at(snapshot)) == (2, 3)
    assert await votes.votes_of(one, at_s=snapshot) == 1
    assert await governor.deadline_s(made.id) >= snapshot + RULES.voting_period_s
    node.advance(RULES.voting_period_s + 1)
    node.send(governor.address, governor.queue(made), sender=one)
    assert await governor.eta_s(made.id) > await votes.clock()
    assert not await timelock.is_ready(made, governor.address)
    node.advance(await timelock.min_delay_s() + 1)
    assert await timelock.is_ready(made, governor.address)
    await governor.simulate(governor.execute(made), sender=two)
    node.send(governor.address, governor.execute(made), sender=two)

    assert await timelock.is_done(made, governor.address)
    assert await parameters.values() == {"royalty_bps": 250}
    assert await parameters.value("mint_limit") is None
    assert await timelock.is_open()
    assert len(operation_id(made, governor.address)) == 32


async def test_wrapper__of_an_unknown_proposal__says_so(house: House, rpc: AsyncNode) -> None:
    governor = Governor(rpc, house.where[GOVERNOR])
    with pytest.raises(NexusError) as caught:
        await governor.state(1)
    assert caught.value.category is Category.CONFLICT
    with pytest.raises(NexusError) as caught:
        await governor.find(1)
    assert caught.value.category is Category.NOT_FOUND


async def test_wrapper__of_a_proposal_that_reverts__names_the_reason(house: House, rpc: AsyncNode) -> None:
    council = Council(house.node, house.at(GOVERNOR), house.at(TIMELOCK), house.members)
    too_much = house.media.artifact.call("setDefaultRoyalty(address,uint96)", house.other, 10_001)
    made = council.decided(Action(house.where[MEDIA], too_much))
    governor = Governor(rpc, house.where[GOVERNOR])
    with pytest.raises(NexusError, match=r"ERC2981InvalidDefaultRoyalty\(10001, 10000\)"):
        await governor.simulate(governor.execute(made), sender=house.members[0])


def test_handover__done__leaves_royalties_and_members_to_the_vote(house: House) -> None:
    for step in handover_transactions(house.plan):
        house.node.send(step.to, step.data, sender=house.admin)
    change = ("setDefaultRoyalty(address,uint96)", house.other, 100)
    for contract, call in ((MEDIA, change), (VOTES, (ADMIT, house.other))):
        assert house.at(contract).refusal(*call, sender=house.admin).startswith("AccessControlUnauthorizedAccount(")
    council = Council(house.node, house.at(GOVERNOR), house.at(TIMELOCK), house.members)
    made = council.decided(
        Action(house.where[MEDIA], house.media.artifact.call(*change)),
        Action(house.where[VOTES], load(VOTES).call(ADMIT, house.other)),
    )
    council.governor.send(EXECUTE, *made.hashed, sender=house.other)
    assert house.media.read("royaltyInfo(uint256,uint256)", 1, 10_000) == (house.other, 100)
    assert house.at(VOTES).read("isMember(address)", house.other)
    # Rotation stays with the admin: it has to be quick.
    assert house.has_role(MEDIA, "ROTATOR_ROLE", house.admin)
