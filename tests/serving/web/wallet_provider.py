"""A wallet for the page under test: an EIP-1193 provider that announces itself (EIP-6963); its keys live in the test.

Belongs here: the provider and its switches. Does not belong here: what the page makes of it (the tests).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eth_account import Account
from eth_account.messages import encode_defunct

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAME = "Test Wallet"
# The provider asks the test for every answer; an answer with a code is thrown, as wallets do.
PROVIDER = """(() => {
  const heard = {};
  const provider = {
    async request({ method, params }) {
      const answer = await window.testWallet(method, params ?? []);
      if (answer.code !== undefined) throw Object.assign(new Error(answer.message), { code: answer.code });
      return answer.result;
    },
    on: (event, listener) => (heard[event] ??= []).push(listener),
    removeListener: (event, listener) => (heard[event] = (heard[event] ?? []).filter((one) => one !== listener)),
  };
  window.walletSays = (event, value) => (heard[event] ?? []).forEach((listener) => listener(value));
  const info = Object.freeze({ uuid: "b9cb0d3c-0000-4000-8000-000000000001", name: "%s", rdns: "test.wallet",
    icon: "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>" });
  const announce = () => window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info, provider }) }));
  window.addEventListener("eip6963:requestProvider", announce);
  announce();
})();"""


@dataclass
class Wallet:
    """One person's wallet."""

    chain_id: int = 31337
    account: Any = field(default_factory=Account.create)
    refuses: dict[str, int] = field(default_factory=dict)
    """Codes of errors by method."""
    asked: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.account.address

    def install(self, page: Page, name: str = NAME) -> None:
        """Put it into a page before that is opened."""
        page.expose_function("testWallet", self.request)
        page.add_init_script(PROVIDER % name)

    def request(self, method: str, params: list[Any]) -> dict[str, Any]:
        """Answer as a wallet does."""
        self.asked.append((method, params))
        if method in self.refuses:
            return {"code": self.refuses[method], "message": "User rejected the request."}
        match method:
            case "eth_requestAccounts" | "eth_accounts":
                return {"result": [self.address.lower()]}
            case "eth_chainId":
                return {"result": hex(self.chain_id)}
            case "wallet_switchEthereumChain":
                self.chain_id = int(params[0]["chainId"], 16)
                return {"result": None}
            case "personal_sign":
                assert params[1].lower() == self.address.lower()
                signed = self.account.sign_message(encode_defunct(hexstr=params[0]))
                return {"result": "0x" + signed.signature.hex()}
        return {"code": 4200, "message": f"unsupported: {method}"}
