from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

import pytest
from page_site import HOSTILE, STEPS, Site, problem

if TYPE_CHECKING:
    from conftest import Watched
pytestmark = pytest.mark.integration
VIEWER = "#/viewer/movielens:1"
CARDS = "article.card"


def _expect():  # playwright is imported only where a browser is there
    from playwright.sync_api import expect

    return expect


def test_viewers__search__narrows_and_leads_to_a_viewer(watched: Watched) -> None:
    page = watched.open("#/")
    expect = _expect()
    expect(page.locator(".person")).to_have_count(48)
    page.get_by_label("Find a viewer").fill("movielens:67")
    expect(page.locator(".person")).to_have_count(3)
    page.get_by_role("link", name="movielens:671").click()
    expect(page).to_have_url(re.compile("#/viewer/movielens:671$"))
    expect(page).to_have_title("Recommendations for movielens:671 · NEXUS")


def test_viewer__known__shows_history_recommendations_and_reasons(watched: Watched) -> None:
    page = watched.open(VIEWER)
    expect = _expect()
    expect(page.locator(".rail li")).to_have_count(9)
    expect(page.locator(".rail li").first).to_contain_text("14 Dec 2009")
    expect(page.locator(CARDS)).to_have_count(15)
    first = page.locator(CARDS).first
    expect(first.get_by_role("heading")).to_have_text("Seven Samurai")
    expect(first.locator(".reason")).to_have_text("Because you watched Heat and The Matrix")
    expect(first.locator(".reason a")).to_have_count(2)
    expect(page.locator(".badge")).to_have_text("Champion model v3")


@pytest.mark.parametrize(("source", "label"), [("content", "By content"), ("popular", "Popular"), ("odd", "odd")])
def test_viewer__other_source__says_which(watched: Watched, site: Site, source: str, label: str) -> None:
    site.state.source = source
    page = watched.open(VIEWER)
    _expect()(page.locator(".badge")).to_have_text(label)


def test_viewer__hostile_titles__are_shown_as_text(watched: Watched, site: Site) -> None:
    for title in site.state.titles:
        title["title"] = HOSTILE
        title["genres"] = [HOSTILE]
    page = watched.open(VIEWER)
    _expect()(page.locator(CARDS).first.get_by_role("heading")).to_have_text(HOSTILE)
    page.locator(".card-link").first.click()
    _expect()(page.locator("#sheet-title")).to_have_text(HOSTILE)
    assert page.evaluate("window.pwned") is None
    assert page.locator("main img, main script, dialog img, dialog script").count() == 0


def test_viewer__missing_fields__is_still_whole(watched: Watched, site: Site) -> None:
    for title in site.state.titles:
        title.update(year=None, genres=None, external_ids=None)
    page = watched.open(VIEWER)
    _expect()(page.locator(CARDS)).to_have_count(15)


def test_rating__by_pointer__is_sent_once_and_refreshes(watched: Watched, site: Site) -> None:
    page = watched.open(VIEWER)
    expect = _expect()
    gone = site.state.titles[9]["content_id"]
    page.get_by_role("group", name="Rate Seven Samurai").get_by_role("button", name="4 of 5 stars").click()
    expect(page.locator(f'{CARDS}[data-content="{gone}"]')).to_have_count(0)
    expect(page.locator("#toasts")).to_contain_text("Rated Seven Samurai 4 of 5 stars")
    expect(page.locator("#said")).to_contain_text("Recommendations refreshed")
    expect(page.locator(".rail li").first).to_contain_text("Seven Samurai")
    (event,) = site.state.events
    assert (event["type"], event["user"], event["content"], event["value"]) == ("rate", "movielens:1", gone, 4)
    assert uuid.UUID(event["event_id"]).version == 4


def test_hide__then_undo__brings_the_title_back(watched: Watched, site: Site) -> None:
    page = watched.open(VIEWER)
    expect = _expect()
    page.get_by_role("button", name="Not for me: Seven Samurai").click()
    expect(page.locator(CARDS)).to_have_count(14)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(CARDS)).to_have_count(15)
    assert [event["type"] for event in site.state.events] == ["hide", "unhide"]
    assert "value" not in site.state.events[0]


def test_stars__by_keyboard__one_stop_and_arrows(watched: Watched, site: Site) -> None:
    page = watched.open(VIEWER)
    expect = _expect()
    stars = page.get_by_role("group", name="Rate Seven Samurai").get_by_role("button")
    stars.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(stars.nth(2)).to_be_focused()
    assert stars.evaluate_all("all => all.map((one) => one.tabIndex)") == [-1, -1, 0, -1, -1]
    page.keyboard.press("Enter")
    expect(page.locator(".card-link").first).to_be_focused()
    assert [event["value"] for event in site.state.events] == [3]


def test_event__refused__says_so_and_keeps_the_card(watched: Watched, site: Site) -> None:
    site.state.failures["/v1/events"] = problem(503, "redis does not answer", remedy="send it again in a moment")
    page = watched.open(VIEWER)
    page.get_by_role("button", name="Watched: Seven Samurai").click()
    _expect()(page.locator("#toasts")).to_have_text("Redis does not answer. Send it again in a moment")
    _expect()(page.locator(CARDS)).to_have_count(15)


def test_title__opened_and_closed__keeps_the_view_below(watched: Watched, site: Site) -> None:
    page = watched.open(VIEWER)
    expect = _expect()
    page.locator(".card-link").nth(1).click()
    sheet = page.get_by_role("dialog")
    expect(sheet.locator("h2")).to_contain_text("Dr. Strangelove")
    expect(sheet.locator(".grid-small li")).to_have_count(8)
    expect(sheet).to_contain_text("321")
    assert "title=" + site.state.titles[10]["content_id"] in page.url
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
    before = len([url for url in watched.requests if "recommendations" in url])
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).not_to_be_visible()
    expect(page).to_have_url(re.compile(r"#/viewer/movielens:1$"))
    expect(page.locator(".card-link").nth(1)).to_be_focused()
    assert len([url for url in watched.requests if "recommendations" in url]) == before


def test_title__deep_link__opens_over_its_view(watched: Watched, site: Site) -> None:
    page = watched.open(f"{VIEWER}?title={site.state.titles[0]['content_id']}")
    expect = _expect()
    expect(page.get_by_role("dialog").locator("h2")).to_have_text("Heat")
    page.get_by_role("button", name="Close").click()
    expect(page.locator(CARDS)).to_have_count(15)


def test_title__rated_in_the_dialog__refreshes_below(watched: Watched, site: Site) -> None:
    page = watched.open(f"{VIEWER}?title={site.state.titles[9]['content_id']}")
    page.get_by_role("dialog").get_by_role("button", name="5 of 5 stars").click()
    _expect()(page.locator(CARDS)).to_have_count(14)


def test_search__typed__asks_once_and_shows(watched: Watched) -> None:
    page = watched.open("#/")
    expect = _expect()
    page.keyboard.press("/")
    expect(page.get_by_label("Search titles by meaning")).to_be_focused()
    page.keyboard.type("alien", delay=15)
    expect(page.locator(".grid .tile-name")).to_have_text(["Alien"])
    expect(page).to_have_url(re.compile(r"#/search\?q=alien$"))
    assert len([url for url in watched.requests if "/v1/search" in url]) == 1
    expect(page.get_by_label("Search titles by meaning")).to_be_focused()


def test_search__nothing__says_what_to_do(watched: Watched) -> None:
    page = watched.open("#/search?q=nothing")
    _expect()(page.locator(".note")).to_contain_text("Nothing comes close")


def test_add__refused_then_right__is_followed_to_its_end(watched: Watched, site: Site) -> None:
    page = watched.open("#/add")
    expect = _expect()
    page.get_by_label("Title", exact=True).fill("Städtereise nach Köln")
    page.get_by_label("Year").fill("1871")
    page.get_by_label("Genres").fill("Documentary, Travel")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_label("Year")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#add-year-hint")).to_have_text("Year is before the first film. Send a later year")
    expect(page.get_by_label("Year")).to_be_focused()
    page.get_by_label("Year").fill("1971")
    page.get_by_role("button", name="Add it").click()
    expect(page).to_have_url(re.compile("#/operation/ingest-1$"))
    expect(page.locator("h1")).to_have_text("Done", timeout=10_000)
    expect(page.locator(".step-done")).to_have_count(len(STEPS))
    expect(page.get_by_role("link", name="Open Heat")).to_be_visible()
    expect(page.get_by_role("link", name="movielens:7", exact=True)).to_be_visible()
    assert site.state.added[-1] == {
        "external_id": "web:sta-dtereise-nach-ko-ln-1971",
        "title": "Städtereise nach Köln",
        "content_type": "movie",
        "year": 1971,
        "genres": ["Documentary", "Travel"],
    }


def test_operation__stopped__ends(watched: Watched) -> None:
    page = watched.open("#/operation/ingest-1")
    page.get_by_role("button", name="Stop it").click()
    _expect()(page.locator("h1")).to_have_text("Stopped")


def test_model__champion__stands_beside_the_floors(watched: Watched) -> None:
    page = watched.open("#/model")
    expect = _expect()
    rows = page.locator(".chart tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.first).to_contain_text("Champion v3")
    expect(rows.first).to_contain_text("0.094")
    expect(page.locator(".lede")).to_have_text(
        "It finds the next title 13 % better than the best simple method, Transition counts."
    )
    widths = page.locator(".chart .fill").evaluate_all("all => all.map((one) => parseFloat(one.getAttribute('width')))")
    assert widths[0] == 100
    assert widths[2] == pytest.approx(100 * 0.046 / 0.094, abs=0.01)
    expect(page.locator(".facts")).to_contain_text("9f2c41a07be3")


@pytest.mark.parametrize("answer", [{"models": [], "current": None}, {}], ids=["none", "empty"])
def test_model__no_champion__says_how_to_get_one(watched: Watched, site: Site, answer: dict[str, object]) -> None:
    site.state.failures["/v1/models"] = (200, answer)
    page = watched.open("#/model")
    _expect()(page.locator(".note")).to_contain_text("bin/nexus pipeline run")


def test_viewer__recommendations_fail__tells_the_remedy_and_recovers(watched: Watched, site: Site) -> None:
    path = "/v1/users/movielens%3A1/recommendations"
    site.state.failures[path] = problem(503, "postgres does not answer", remedy="see bin/nexus status")
    page = watched.open(VIEWER)
    expect = _expect()
    expect(page.get_by_role("alert").filter(has_text="Postgres does not answer")).to_contain_text("bin/nexus status")
    expect(page.locator(".rail li")).to_have_count(9)
    site.state.failures.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(CARDS)).to_have_count(15)


def test_viewer__slow_server__shows_shapes_first(watched: Watched, site: Site) -> None:
    site.state.release.clear()
    page = watched.open(VIEWER)
    expect = _expect()
    expect(page.locator(".bones-cards .bone").first).to_be_visible()
    site.state.release.set()
    expect(page.locator(".bone")).to_have_count(0)


def test_viewer__unknown__is_welcomed(watched: Watched) -> None:
    page = watched.open("#/viewer/web:new1")
    expect = _expect()
    expect(page.locator("main")).to_contain_text("recommendations start with the first")
    page.get_by_role("link", name="courtroom drama").click()
    expect(page.locator(".grid .tile").first).to_be_visible()


def test_viewer__empty__says_so(watched: Watched, site: Site) -> None:
    site.state.is_empty = True
    page = watched.open(VIEWER)
    _expect()(page.locator(".note")).to_have_count(2)


def test_history__table__lists_all(watched: Watched) -> None:
    page = watched.open(f"{VIEWER}/history")
    _expect()(page.locator("tbody tr")).to_have_count(9)
    _expect()(page.locator(".lede")).to_have_text("9 entries, 3.0 stars on average.")


def test_server__gone__banner_comes_and_goes(watched: Watched) -> None:
    page = watched.open("#/model")
    expect = _expect()
    expect(page.locator(".chart")).to_be_visible()
    page.route("**/v1/**", lambda route: route.abort())
    page.goto(f"{watched.url}/#/viewer/movielens:2")
    expect(page.locator("#offline")).to_contain_text("NEXUS does not answer")
    expect(page.get_by_role("alert").filter(has_text="Try again").first).to_be_visible()
    page.unroute("**/v1/**")
    page.get_by_role("button", name="Try again").first.click()
    expect(page.locator(CARDS)).to_have_count(15)
    expect(page.locator("#offline")).to_be_hidden()


def test_address__unknown__offers_a_way(watched: Watched) -> None:
    page = watched.open("#/nowhere")
    _expect()(page.get_by_role("link", name="Pick a viewer")).to_be_visible()
