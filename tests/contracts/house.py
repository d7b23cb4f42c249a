"""Our contracts, deployed once for a session, and a short way to call them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from contracts.client import deploy
from contracts.client.artifacts import Artifact, Log, decode_error, load
from contracts.client.contract import role_of
from contracts.devnode import DevNode, Receipt, Refused
from nexus.settings import ROOT

SOLIDITY = ROOT / "tests" / "contracts" / "solidity"
RULES = deploy.Rules(voting_delay_s=10, voting_period_s=100, quorum_percent=67, late_quorum_s=40, timelock_s=30)
ZERO = "0x" + "0" * 40


@cache
def for_tests(name: str) -> Artifact:
    """A contract that only tests use."""
    return Artifact.of(json.loads((SOLIDITY / "artifacts.json").read_text())[name])


def token(number: int) -> int:
    """A digest as metadata have it."""
    return int.from_bytes(hashlib.sha256(f"title {number}".encode()).digest(), "big")


@dataclass(frozen=True)
class At:
    """A contract somewhere on a node."""

    node: DevNode
    address: str
    artifact: Artifact

    def send(self, signature: str, *arguments: Any, sender: str, value: int = 0) -> Receipt:
        """A transaction that has to go through."""
        data = self.artifact.call(signature, *arguments)
        return self.node.send(self.address, data, sender=sender, value=value)

    def read(self, signature: str, *arguments: Any) -> Any:
        """A static call."""
        return self.artifact.answer(signature, self.node.read(self.address, self.artifact.call(signature, *arguments)))

    def refusal(self, signature: str, *arguments: Any, sender: str | None = None) -> str:
        """The error with which a call is refused; "" when it is not."""
        try:
            self.node.read(self.address, self.artifact.call(signature, *arguments), sender=sender)
        except Refused as error:
            own = self.artifact.error(error.data)
            return own or decode_error(error.data)
        return ""

    def logs(self, receipt: Receipt) -> list[Log]:
        """Events of this contract in a receipt."""
        mine = [log for log in receipt.logs if log["address"] == self.address.lower()]
        found = [self.artifact.log(log["topics"], log["data"]) for log in mine]
        return [log for log in found if log is not None]


def created(node: DevNode, artifact: Artifact, *arguments: Any, value: int = 0) -> At:
    """A contract made by an ordinary transaction."""
    made = node.send(None, artifact.creation(*arguments), value=value)
    assert made.contract
    return At(node, made.contract, artifact)


class House:
    """Everything that the platform deploys, with one minter and three members."""

    def __init__(self, node: DevNode) -> None:
        self.node = node
        self.admin, self.minter, self.holder, self.other, self.stranger = node.accounts[:5]
        self.members = node.accounts[5:8]
        self.treasury = node.accounts[8]
        self.plan = deploy.Plan(admin=self.admin, treasury=self.treasury, rules=RULES)
        self.where = deploy.addresses(self.plan)
        steps = deploy.deploy_transactions(self.plan)
        steps += deploy.role_transactions(self.plan, [self.minter], self.members)
        for step in steps:
            node.send(step.to, step.data, sender=self.admin)
        # Votes count from the second after the one in which they were given.
        node.advance(1)

    def at(self, name: str) -> At:
        """One of the contracts."""
        return At(self.node, self.where[name], load(name))

    @property
    def media(self) -> At:
        return self.at(deploy.MEDIA)

    def mint(self, to: str, number: int) -> int:
        """Mint a title to somebody; returns its id."""
        self.media.send("mint(address,uint256)", to, token(number), sender=self.minter)
        return token(number)

    def has_role(self, name: str, role: str, account: str) -> bool:
        return bool(self.at(name).read("hasRole(bytes32,address)", role_of(role), account))
