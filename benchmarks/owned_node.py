"""A development node and what only its owner can do: money, time, blocks, history, a contract to mint on.

Belongs here: the synchronous client that tests and benchmarks steer anvil with. Does not belong here: anything of the product;
what is tested talks to the node through its own client.
"""

from __future__ import annotations

import hashlib
from typing import Any

import httpx

from contracts.client.artifacts import load

# The first of the ten keys that everybody knows.
OWNER = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
COINS = 10**22
_LOOKS = 20


class OwnedNode:
    """An anvil, past every proxy."""

    minter_role = bytes.fromhex("9f2df0fed2c77648de5860a4cc508cd0818c85b8b8a1ab4ceeef8d981c8956a6")
    """keccak256("MINTER_ROLE")"""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def close(self) -> None:
        """Let the connection go."""
        self._http.close()

    def ask(self, method: str, *params: Any) -> Any:
        """One question."""
        found = self._http.post("", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).json()
        assert "error" not in found, f"{method}: {found['error']}"
        return found["result"]

    def mine(self, blocks: int = 1) -> None:
        """Add blocks."""
        for _ in range(blocks):
            self.ask("evm_mine")

    def reorganise(self, depth: int) -> None:
        """Replace the newest blocks by empty ones; their transactions are gone from the node."""
        self.ask("anvil_reorg", depth, [])

    def fund(self, address: str, wei: int = COINS) -> None:
        """Set a balance."""
        self.ask("anvil_setBalance", address, hex(wei))

    def head(self) -> int:
        """Number of the newest block."""
        return int(self.ask("eth_blockNumber"), 16)

    def nonce(self, address: str, block: str = "latest") -> int:
        """Used nonces."""
        return int(self.ask("eth_getTransactionCount", address, block), 16)

    def send(self, **tx: Any) -> dict[str, Any]:
        """Send as the owner, mine if nobody else does, and return the receipt.

        A reorganisation may take the transaction away, and the node does not put it back: then it is sent again.
        """
        while True:
            tx_hash = self.ask("eth_sendTransaction", {"from": OWNER, **tx})
            for _ in range(_LOOKS):
                found = self.ask("eth_getTransactionReceipt", tx_hash)
                if found is not None:
                    assert int(found["status"], 16) == 1, f"a transaction of the owner reverted: {tx}"
                    return dict(found)
                self.mine()

    def deploy(self) -> str:
        """NexusMedia; its address."""
        made = load("NexusMedia").creation("NEXUS Media", "NXM", "ipfs://none", OWNER, OWNER, 500)
        return str(self.send(data="0x" + made.hex())["contractAddress"]).lower()

    def let_mint(self, contract: str, minter: str) -> None:
        """Grant the minter's role."""
        role = load("NexusMedia").call("grantRole(bytes32,address)", self.minter_role, minter)
        self.send(to=contract, data="0x" + role.hex())

    def forbid_minting(self, contract: str, minter: str) -> None:
        """Revoke the minter's role."""
        role = load("NexusMedia").call("revokeRole(bytes32,address)", self.minter_role, minter)
        self.send(to=contract, data="0x" + role.hex())

    def transfers(self, contract: str) -> list[dict[str, Any]]:
        """All Transfer events of the chain as it is now."""
        wanted = {"address": contract, "topics": [load("NexusMedia").topic("Transfer")]}
        return list(self.ask("eth_getLogs", wanted | {"fromBlock": "0x0", "toBlock": "latest"}))

    def tokens(self, contract: str) -> list[int]:
        """Ids of those events, in order, doubles included."""
        return [int(log["topics"][3], 16) for log in self.transfers(contract)]


def token_of(text: str) -> int:
    """A token id as minting makes it: a sha-256 digest."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")


def minting(to: str, token_id: int) -> bytes:
    """Call data of a mint."""
    return load("NexusMedia").call("mint(address,uint256)", to, token_id)
