"""Tokens, royalties and members on the page, in states that the stand-in shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from ownership_site import ADDRESS, CID, MINT_STEPS, TOKEN_ID
from page_site import Site, problem
from test_access import CONTRASTS, DUPLICATE_IDS, NAMELESS, PICTURES

if TYPE_CHECKING:
    from conftest import Watched
pytestmark = pytest.mark.integration
VIEWS = {
    "#/ownership": ".proposal",
    f"#/token/{TOKEN_ID}": "details.manifest",
    "#/viewer/movielens:1/wallets": ".wallets li",
}


@pytest.fixture
def expect() -> Any:
    from playwright.sync_api import expect

    return expect


@pytest.fixture
def owned(site: Site) -> Any:
    site.state.owned.enabled = True
    site.state.owned.wallets = [{"address": ADDRESS, "chain_id": 31337, "linked_at": "2026-01-31T20:15:04Z"}]
    return site.state.owned


@pytest.fixture
def title(site: Site) -> str:
    return site.state.titles[0]["content_id"]


def test_title__no_chain__says_so_and_hides_the_rest(watched: Watched, title: str, expect: Any) -> None:
    page = watched.open(f"#/viewer/movielens:1?title={title}")
    expect(page.locator(".ownership")).to_contain_text(
        "Titles are not minted here. To change that, start it with bin/nexus up --with web3."
    )
    expect(page.get_by_role("button", name="Mint")).to_have_count(0)
    expect(page.get_by_role("link", name="Ownership")).to_have_count(0)


def test_mint__from_the_title__is_followed_to_token_proof_and_gateways(
    watched: Watched, owned: Any, title: str, expect: Any
) -> None:
    page = watched.open(f"#/viewer/movielens:1?title={title}")
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_label("To")).to_have_value(ADDRESS)
    sheet.get_by_label("Royalty in %").fill("7.5")
    sheet.get_by_role("button", name="Mint Heat").click()
    expect(page).to_have_url(re.compile(f"#/operation/mint-{title}$"))
    expect(page.locator(".steps")).to_contain_text("Wait until the block is final")
    expect(page.locator("h1")).to_have_text("Done", timeout=15_000)
    expect(page.locator(".step-done")).to_have_count(len(MINT_STEPS))
    assert owned.minted == [{"content": title, "to": ADDRESS, "royalty_bps": 750}]
    page.get_by_role("link", name="Token, proof and gateways").click()
    expect(page.locator("h1")).to_have_text("Heat")
    expect(page.locator(".holds")).to_have_text("Holds")
    expect(page.locator(".links a")).to_have_count(1)  # what is no web address is no link
    expect(page.locator(".links a")).to_have_attribute("href", f"http://127.0.0.1:15081/ipfs/{CID}")
    page.get_by_text("The signed manifest").click()
    expect(page.locator("details pre")).to_contain_text(TOKEN_ID)
    page.goto(f"{watched.url}/#/viewer/movielens:1?title={title}")
    expect(page.locator(".ownership")).to_contain_text("12 on anvil")
    expect(page.get_by_role("button", name="Mint Heat")).to_have_count(0)


def test_mint__for_the_treasury__sends_nothing_that_was_not_chosen(
    watched: Watched, owned: Any, title: str, expect: Any
) -> None:
    owned.wallets = []
    page = watched.open(f"#/viewer/movielens:1?title={title}")
    expect(page.get_by_role("link", name="Link a wallet")).to_be_visible()
    page.get_by_role("button", name="Mint Heat").click()
    expect(page).to_have_url(re.compile("#/operation/mint-"))
    assert owned.minted == [{"content": title}]


@pytest.mark.usefixtures("owned")
def test_mint__refused__tells_the_remedy_and_can_be_tried_again(
    watched: Watched, site: Site, title: str, expect: Any
) -> None:
    site.state.failures[f"/v1/content/{title}/mint"] = problem(503, "temporal does not answer", remedy="send it again")
    page = watched.open(f"#/viewer/movielens:1?title={title}")
    page.get_by_role("button", name="Mint Heat").click()
    expect(page.locator(".ownership [role=alert]")).to_contain_text("Temporal does not answer")
    expect(page.get_by_role("button", name="Mint Heat")).to_be_enabled()


def test_token__broken_signature__is_said(watched: Watched, owned: Any, expect: Any) -> None:
    owned.is_signed = False
    page = watched.open(f"#/token/{TOKEN_ID}")
    expect(page.locator(".broken")).to_have_text("Does not hold")


@pytest.mark.usefixtures("owned")
def test_ownership__shows_royalties_members_and_keys_exactly(watched: Watched, expect: Any) -> None:
    page = watched.open("#/")
    page.get_by_role("link", name="Ownership").click()
    rows = page.get_by_role("region", name="Who shares in royalties").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("0.25 ETH")
    expect(rows.nth(1)).to_contain_text("0.000000000000000001 ETH")
    expect(rows.nth(1)).to_contain_text("12.000000000000000001 ETH")
    expect(page.locator("main")).to_contain_text("1.5 ETH")
    expect(page.locator(".proposal")).to_contain_text("Lower the royalty to 4 % <b>now</b>")
    expect(page.get_by_role("region", name="All keys")).to_contain_text("waits for 0.001 ETH")
    assert page.locator(".proposal b").count() == 0


@pytest.mark.usefixtures("owned")
def test_ownership__chain_away__tells_it_in_its_part_only(watched: Watched, site: Site, expect: Any) -> None:
    site.state.failures["/v1/governance"] = problem(503, "the chain does not answer", remedy="try again in a moment")
    page = watched.open("#/ownership")
    expect(page.get_by_role("alert").filter(has_text="The chain does not answer")).to_be_visible()
    expect(page.get_by_role("region", name="Who shares in royalties")).to_be_visible()
    site.state.failures.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".proposal")).to_have_count(1)


def _each(watched: Watched) -> Any:
    for route, sign in VIEWS.items():
        page = watched.open(route)
        page.locator(sign).first.wait_for()
        yield route, page


@pytest.mark.usefixtures("owned")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_views__both_schemes__have_names_headings_and_contrast(
    open_page: Callable[..., Watched], site: Site, scheme: str
) -> None:
    for route, page in _each(open_page(site.url, color_scheme=scheme, reduced_motion="reduce")):
        assert page.evaluate(NAMELESS) == [], route
        assert page.evaluate(PICTURES) == [], route
        assert page.evaluate(DUPLICATE_IDS) == [], route
        assert page.evaluate(CONTRASTS) == [], route
        assert page.locator("h1").count() == 1, route


@pytest.mark.usefixtures("owned")
def test_views__narrow_or_zoomed__never_scroll_sideways(
    open_page: Callable[..., Watched], site: Site, title: str
) -> None:
    watched = open_page(site.url, viewport={"width": 360, "height": 740}, has_touch=True)
    wide = []
    for route, page in _each(watched):
        for width in (320, 360, 640):
            page.set_viewport_size({"width": width, "height": 740})
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wide.append((route, width))
    page = watched.open(f"#/viewer/movielens:1?title={title}")
    page.locator("form.mint").wait_for()
    page.set_viewport_size({"width": 320, "height": 740})
    if page.evaluate("document.querySelector('#sheet').scrollWidth") > 320:
        wide.append(("dialog", 320))
    assert wide == []
