"""The whole way in a browser: connect a wallet, sign in, link, mint, follow, see the token; on a real chain."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from eth_account import Account
from wallet_provider import NAME, Wallet

from tests.serving.live_web3 import Minting

if TYPE_CHECKING:
    from conftest import Watched
pytestmark = pytest.mark.integration
MINTED_WITHIN_MS = 60_000


@pytest.fixture
def expect() -> Any:
    from playwright.sync_api import expect

    return expect


@pytest.fixture
def viewer(minting: Minting) -> str:
    """Somebody who liked one title."""
    ref = f"webtest:{uuid.uuid4().hex[:8]}"
    event = {"event_id": str(uuid.uuid4()), "type": "like", "user": ref, "content": minting.title("Seen")}
    sent = httpx.post(f"{minting.url}/v1/events", json={"events": [event]}, trust_env=False)
    assert sent.json()["accepted"] == 1, sent.text
    return ref


@pytest.fixture
def wallet() -> Wallet:
    return Wallet()


@pytest.fixture
def watched(open_page: Callable[..., Watched], minting: Minting, wallet: Wallet) -> Watched:
    made = open_page(minting.url)
    wallet.install(made.page)
    return made


def linked(minting: Minting, viewer: str) -> list[str]:
    answer = httpx.get(f"{minting.url}/v1/users/{viewer}/wallets", trust_env=False)
    return [one["address"] for one in answer.json()["items"]]


def connect(page: Any) -> None:
    page.get_by_role("button", name=f"Connect {NAME}").click()


def test_page__wallet_signs_in_and_mints__the_chain_says_it_owns_the_token(
    watched: Watched, minting: Minting, viewer: str, wallet: Wallet, expect: Any
) -> None:
    content_id = minting.title("Heat")
    page = watched.open(f"#/viewer/{viewer}/wallets")
    expect(page.locator("main")).to_contain_text("No wallet yet")
    connect(page)
    page.get_by_role("button", name="Sign and link").click()
    expect(page.locator(".wallets li")).to_have_count(1)
    assert linked(minting, viewer) == [wallet.address]
    text = bytes.fromhex(next(params[0] for method, params in wallet.asked if method == "personal_sign")[2:]).decode()
    assert text.startswith(f"{minting.url.removeprefix('http://')} wants you to sign in")
    assert "link this wallet to the viewer below" in text

    page.goto(f"{minting.url}/#/viewer/{viewer}?title={content_id}")
    expect(page.get_by_label("To", exact=True)).to_have_value(wallet.address)
    page.get_by_role("button", name="Mint Heat").click()
    expect(page).to_have_url(re.compile(f"#/operation/mint-{content_id}$"))
    expect(page.locator(".steps")).to_contain_text("Send the transaction")
    expect(page.locator("h1")).to_have_text("Done", timeout=MINTED_WITHIN_MS)
    page.get_by_role("link", name="Token, proof and gateways").click()
    expect(page.locator("h1")).to_contain_text("Heat")
    expect(page.locator(".holds")).to_have_text("Holds")
    gateway = page.locator(".links a").first.get_attribute("href")

    token = httpx.get(f"{minting.url}/v1/content/{content_id}/token", trust_env=False).json()
    assert page.url.endswith(token["token_id"])
    assert hashlib.sha256(httpx.get(gateway, trust_env=False).content).digest() == int(token["token_id"]).to_bytes(32)
    (transfer,) = minting.anvil.transfers(token["contract"], token["token_id"])
    assert transfer["topics"][2][-40:] == wallet.address[2:].lower()
    assert transfer["transactionHash"] == token["tx_hash"]


def test_wallets__unlinked_by_its_owner__asks_to_sign_only_when_nobody_is_signed_in(
    watched: Watched, minting: Minting, viewer: str, wallet: Wallet, expect: Any
) -> None:
    page = watched.open(f"#/viewer/{viewer}/wallets")
    connect(page)
    page.get_by_role("button", name="Sign and link").click()
    expect(page.locator(".wallets li")).to_have_count(1)
    page.get_by_role("button", name=f"Unlink {wallet.address}").click()
    expect(page.locator(".wallets li")).to_have_count(0)
    assert [method for method, _ in wallet.asked].count("personal_sign") == 1
    page.get_by_role("button", name="Sign and link").click()
    expect(page.locator(".wallets li")).to_have_count(1)
    page.context.clear_cookies()
    page.get_by_role("button", name=f"Unlink {wallet.address}").click()
    expect(page.locator(".wallets li")).to_have_count(0)
    assert [method for method, _ in wallet.asked].count("personal_sign") == 3
    assert linked(minting, viewer) == []


def test_wallets__another_account__cannot_unlink(
    watched: Watched, minting: Minting, viewer: str, wallet: Wallet, expect: Any
) -> None:
    page = watched.open(f"#/viewer/{viewer}/wallets")
    connect(page)
    page.get_by_role("button", name="Sign and link").click()
    expect(page.locator(".wallets li")).to_have_count(1)
    owner, wallet.account = wallet.account, Account.create()
    page.context.clear_cookies()
    page.get_by_role("button", name=f"Unlink {owner.address}").click()
    expect(page.get_by_role("alert")).to_contain_text("Only the owner of a wallet unlinks it")
    assert linked(minting, viewer) == [owner.address]


def test_wallets__other_chain_declined_changed__is_told_and_goes_on(
    watched: Watched, minting: Minting, viewer: str, wallet: Wallet, expect: Any
) -> None:
    wallet.chain_id, wallet.refuses = 1, {"eth_requestAccounts": 4001}
    page = watched.open(f"#/viewer/{viewer}/wallets")
    connect(page)
    expect(page.get_by_role("alert")).to_contain_text("You declined in the wallet")
    wallet.refuses = {"wallet_switchEthereumChain": 4902}
    connect(page)
    expect(page.get_by_role("alert")).to_contain_text("This wallet is on chain 1. The platform is on chain 31337")
    expect(page.get_by_role("button", name="Sign and link")).to_have_count(0)
    page.get_by_role("button", name="Change to anvil").click()
    expect(page.get_by_role("alert").filter(has_text="does not know chain 31337")).to_be_visible()
    wallet.refuses = {"personal_sign": 4001}
    page.get_by_role("button", name="Change to anvil").click()
    page.get_by_role("button", name="Sign and link").click()
    expect(page.get_by_role("alert")).to_contain_text("You declined in the wallet")
    wallet.refuses = {}
    wallet.chain_id = 137
    page.evaluate("walletSays('chainChanged', '0x89')")
    expect(page.get_by_role("alert")).to_contain_text("This wallet is on chain 137")
    wallet.chain_id = 31337
    page.evaluate("walletSays('chainChanged', '0x7a69')")
    page.get_by_role("button", name="Sign and link").click()
    expect(page.locator(".wallets li")).to_have_count(1)
    assert linked(minting, viewer) == [wallet.address]


def test_wallets__none_in_the_browser__says_what_to_do(
    open_page: Callable[..., Watched], minting: Minting, viewer: str, expect: Any
) -> None:
    page = open_page(minting.url).open(f"#/viewer/{viewer}/wallets")
    expect(page.locator("main")).to_contain_text("No wallet in this browser")
    expect(page.get_by_role("button", name="Look again")).to_be_visible()


def test_ownership__real_chain__shows_the_contracts(watched: Watched, expect: Any) -> None:
    page = watched.open("#/ownership")
    expect(page.locator("main")).to_contain_text("5 % of a sale")
    expect(page.locator("main")).to_contain_text("Nobody has proposed anything yet")
    expect(page.get_by_role("region", name="All keys")).to_contain_text("minter")
