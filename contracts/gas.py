"""What each operation costs, measured on a fresh node, and the comparison with the committed figures.

Belongs here: the list of operations, their limits, the comparison. Does not belong here: gas prices (client/chains.py).
Figures are exact: same code, same arguments, same gas; so the tolerance is zero.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contracts.client import deploy
from contracts.client.artifacts import load
from contracts.client.contract import role_of
from contracts.client.governor import Action, Proposal
from contracts.client.parameters import key_bytes
from nexus.settings import ROOT

if TYPE_CHECKING:
    from contracts.devnode import DevNode

BASELINE = ROOT / "contracts" / "gas.json"
SINGLE, BATCH, DUPLICATE = "media: mint, holder has tokens", "media: mint, batch of 50, per token", "media: mint twice"
# What issue 5 demands, with roles and the default royalty.
LIMITS: Mapping[str, int] = {SINGLE: 54_500, BATCH: 26_200}
_BATCH = 50
_RULES = deploy.Rules(voting_delay_s=10, voting_period_s=100, late_quorum_s=20, timelock_s=30)


def measure() -> dict[str, int]:
    """Operation -> gas, on a node that is started for it.

    Raises:
        NexusError: category ``unavailable`` without anvil.
    """
    from contracts.devnode import running

    with running() as node:
        return Bench(node).run()


def compared(measured: Mapping[str, int]) -> tuple[list[dict[str, Any]], bool]:
    """Rows of operation, gas, committed, change; and whether nothing changed."""
    committed: dict[str, int] = json.loads(BASELINE.read_text()) if BASELINE.is_file() else {}
    rows = [
        {
            "operation": name,
            "gas": measured.get(name),
            "committed": committed.get(name),
            "change": measured[name] - committed[name] if name in measured and name in committed else None,
        }
        for name in (*measured, *(name for name in committed if name not in measured))
    ]
    return rows, dict(measured) == committed


def token(number: int) -> int:
    """A digest as metadata have it, without a zero byte: those are the dearest to send."""
    digest = hashlib.sha256(f"nexus gas {number}".encode()).digest()
    while 0 in digest:
        digest = hashlib.sha256(digest).digest()
    return int.from_bytes(digest, "big")


class Bench:
    """Every operation once, with the accounts that the node holds.

    Args:
        node: A fresh one.
    """

    def __init__(self, node: DevNode) -> None:
        self._node = node
        self._gas: dict[str, int] = {}
        # The holder's address has no zero byte either.
        self.admin, self.holder, self.minter, self.other, self.member = node.accounts[:5]
        self.plan = deploy.Plan(admin=self.admin, treasury=self.other, rules=_RULES)
        self._where = deploy.addresses(self.plan)

    def run(self) -> dict[str, int]:
        """Operation -> gas."""
        self._deployments()
        self._tokens()
        self._roles()
        self._royalties()
        self._votes()
        return self._gas

    def _send(self, name: str | None, contract: str, signature: str, *arguments: Any, sender: str) -> None:
        data = load(contract).call(signature, *arguments)
        receipt = self._node.send(self._where[contract], data, sender=sender)
        if name is not None:
            self._gas[name] = receipt.gas_used

    def _deployments(self) -> None:
        for step in deploy.deploy_transactions(self.plan):
            self._gas[step.name] = self._node.send(step.to, step.data, sender=self.admin).gas_used
        for step in deploy.role_transactions(self.plan, members=[self.member]):
            self._node.send(step.to, step.data, sender=self.admin)

    def _tokens(self) -> None:
        admin, minter, holder, media = self.admin, self.minter, self.holder, deploy.MEDIA
        grant = "grantRole(bytes32,address)"
        self._send("media: grant a minter", media, grant, role_of("MINTER_ROLE"), minter, sender=admin)
        mint, batch = "mint(address,uint256)", "mintBatch(address,uint256[])"
        self._send("media: mint, first of a holder", media, mint, holder, token(1), sender=minter)
        self._send(SINGLE, media, mint, holder, token(2), sender=minter)
        own = "mintWithRoyalty(address,uint256,uint96)"
        self._send("media: mint with a royalty of its own", media, own, holder, token(3), 750, sender=minter)
        for size in (10, _BATCH):
            name = f"media: mint, batch of {size}, per token"
            ids = [token(1000 * size + number) for number in range(size)]
            self._send(name, media, batch, holder, ids, sender=minter)
            self._gas[name] = -(-self._gas[name] // size)
        self._gas[DUPLICATE] = self._reverted(media, mint, [holder, token(2)], sender=minter)
        transfer = "transferFrom(address,address,uint256)"
        self._send("media: transfer", media, transfer, holder, self.other, token(2), sender=holder)

    def _reverted(self, contract: str, signature: str, arguments: Sequence[Any], *, sender: str) -> int:
        """Gas of a transaction that reverts."""
        data = load(contract).call(signature, *arguments)
        call = {"from": sender, "to": self._where[contract], "data": "0x" + data.hex(), "gas": hex(500_000)}
        return int(self._node.call("eth_sendTransactionSync", [call])["gasUsed"], 16)

    def _roles(self) -> None:
        admin, media, role = self.admin, deploy.MEDIA, role_of("MINTER_ROLE")
        with self._node.scratch():
            revoke = "revokeRole(bytes32,address)"
            self._send("media: revoke a minter", media, revoke, role, self.minter, sender=admin)
        with self._node.scratch():
            for number in range(2, 65):
                account = "0x" + number.to_bytes(20, "big").hex()
                self._send(None, media, "grantRole(bytes32,address)", role, account, sender=admin)
            self._send("media: pause, 64 minters", media, "pause()", sender=admin)

    def _royalties(self) -> None:
        self._gas["splitter: receive"] = self._node.send(
            self._where[deploy.SPLITTER], value=10**18, sender=self.holder
        ).gas_used
        release = "release(address)"
        self._send("splitter: release", deploy.SPLITTER, release, self.other, sender=self.holder)

    def _votes(self) -> None:
        self._send("votes: admit", deploy.VOTES, "admit(address)", self.other, sender=self.admin)
        self._node.advance(1)
        change = load(deploy.PARAMETERS).call("set(bytes32,uint256)", key_bytes("royalty_bps"), 250)
        proposal = Proposal.of([Action(self._where[deploy.PARAMETERS], change)], "Lower the royalty to 2.5 %")
        propose, hashed = "propose(address[],uint256[],bytes[],string)", "(address[],uint256[],bytes[],bytes32)"
        to, vote = deploy.GOVERNOR, "castVote(uint256,uint8)"
        self._send("governor: propose", to, propose, *proposal.lists, proposal.description, sender=self.member)
        self._node.advance(_RULES.voting_delay_s + 1)
        self._send("governor: vote", to, vote, proposal.id, 1, sender=self.member)
        self._node.advance(_RULES.voting_period_s + 1)
        self._send("governor: queue", to, f"queue{hashed}", *proposal.hashed, sender=self.other)
        self._node.advance(_RULES.timelock_s + 1)
        self._send("governor: execute", to, f"execute{hashed}", *proposal.hashed, sender=self.other)
