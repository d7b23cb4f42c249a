from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from page_site import Site

if TYPE_CHECKING:
    from conftest import Watched
pytestmark = pytest.mark.integration
ROUTES = {
    "#/": ".person",
    "#/viewer/movielens:1": "article.card",
    "#/viewer/movielens:1/history": "tbody tr",
    "#/search?q=x": ".grid .tile",
    "#/add": "form.form",
    "#/model": ".chart",
    "#/operation/ingest-1": ".step",
}
WIDE_TITLE = "Dr. Strangelove or: Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
LIGHT_WEIGHT_BYTES = 100_000

NAMELESS = """() => [...document.querySelectorAll("a, button, input, select, textarea, [tabindex='0']")]
  .filter((one) => one.checkVisibility())
  .filter((one) => !(one.getAttribute("aria-label") || one.labels?.length || one.textContent.trim()))
  .map((one) => one.outerHTML.slice(0, 120))"""
PICTURES = """() => [...document.querySelectorAll("img, svg, .poster")]
  .filter((one) => !(one.closest("[aria-hidden='true']") || one.alt || one.getAttribute("aria-label")))
  .map((one) => one.outerHTML.slice(0, 120))"""
DUPLICATE_IDS = """() => { const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  return ids.filter((one, at) => ids.indexOf(one) !== at); }"""
# The contrast of every visible text with the nearest opaque background; pictures and gradients are measured apart.
CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (text) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * x + .7152 * y + .0722 * z; };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)]; return (Math.max(x, y) + .05) / (Math.min(x, y) + .05); };
  const low = [];
  for (const one of document.querySelectorAll("body *")) {
    const hasText = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!hasText || !one.checkVisibility() || one.closest(".poster, .lead, .sheet-top, .face, :disabled")) continue;
    let back = one, colour = [0, 0, 0, 0];
    while (back && colour[3] < 200) { colour = rgba(getComputedStyle(back).backgroundColor); back = back.parentElement; }
    const style = getComputedStyle(one);
    const isLarge = parseFloat(style.fontSize) >= 24;
    const found = ratio(rgba(style.color), colour);
    if (found < (isLarge ? 3 : 4.5)) low.push([one.className || one.tagName, one.textContent.slice(0, 30), found.toFixed(2)]);
  }
  return low; }"""
# Text on the coloured stage and on posters, for every hue: against the lightest colour that can lie under it.
STAGES = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (text) => { canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * x + .7152 * y + .0722 * z; };
  const ratio = (a, b) => { const [x, y] = [light(rgb(a)), light(rgb(b))]; return (Math.max(x, y) + .05) / (Math.min(x, y) + .05); };
  const stage = getComputedStyle(document.querySelector(".lead"));
  const low = [];
  for (let hue = 0; hue < 360; hue += 5)
    for (const [text, under] of [["--ink", `oklch(.4 .09 ${hue})`], ["--soft", `oklch(.4 .09 ${hue})`], ["--accent", `oklch(.4 .09 ${hue})`], ["--ink", `oklch(.47 .115 ${hue})`]]) {
      const found = ratio(stage.getPropertyValue(text), under);
      if (found < 4.5) low.push([hue, text, found.toFixed(2)]);
    }
  return low; }"""


def _shown(watched: Watched, route: str) -> Any:
    page = watched.open(route)
    page.locator(ROUTES[route]).first.wait_for()
    return page


def _visit(watched: Watched) -> Iterator[tuple[str, Any]]:
    """Every view in turn, within one load of the page."""
    page = watched.open("")
    for route, sign in ROUTES.items():
        page.evaluate("(hash) => { location.hash = hash; }", route)
        page.locator(f"main {sign}").first.wait_for()
        yield route, page


def test_views__all__name_their_controls_and_have_one_heading(watched: Watched) -> None:
    for route, page in _visit(watched):
        assert page.evaluate(NAMELESS) == [], route
        assert page.evaluate(PICTURES) == [], route
        assert page.evaluate(DUPLICATE_IDS) == [], route
        assert page.locator("h1").count() == 1, route
        for role in ("banner", "main", "navigation", "search", "contentinfo"):
            assert page.get_by_role(role).count() == 1, (route, role)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours__both_schemes__reach_aa(open_page: Any, site: Site, scheme: str) -> None:
    watched = open_page(site.url, color_scheme=scheme, reduced_motion="reduce")
    for route, page in _visit(watched):
        assert page.evaluate(CONTRASTS) == [], route
        if "viewer/movielens:1" in route and "history" not in route:
            assert page.evaluate(STAGES) == []


def test_views__narrow_or_zoomed__never_scroll_sideways(open_page: Any, site: Site) -> None:
    site.state.titles[9]["title"] = site.state.titles[10]["title"] = WIDE_TITLE
    watched = open_page(site.url, viewport={"width": 360, "height": 740}, has_touch=True)
    views = [*_widths(_visit(watched), "document.documentElement.scrollWidth")]
    page = watched.open(f"#/viewer/movielens:1?title={site.state.titles[10]['content_id']}")
    page.locator("#sheet .grid-small li").first.wait_for()
    views += _widths([("dialog", page)], "document.querySelector('#sheet').scrollWidth")
    assert [view for view in views if view[2] > view[1]] == []


def _widths(visits: Iterable[tuple[str, Any]], measure: str) -> Iterator[tuple[str, int, int]]:
    """(view, width of the window, width of what is in it); 640 is a desktop window at 200 % zoom."""
    for route, page in visits:
        for width in (320, 360, 640):
            page.set_viewport_size({"width": width, "height": 740})
            yield route, width, page.evaluate(measure)


def test_touch__phone__targets_are_large_enough(open_page: Any, site: Site) -> None:
    watched = open_page(site.url, viewport={"width": 360, "height": 740}, has_touch=True)
    page = _shown(watched, "#/viewer/movielens:1")
    small = page.locator("nav a, .rating button, .quiet, .badge").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect()).filter((box) => box.width < 24 || box.height < 24).length"
    )
    assert small == 0


def test_keyboard__from_the_top__goes_through_in_reading_order(watched: Watched) -> None:
    page = _shown(watched, "#/viewer/movielens:1")
    seen = []
    for _ in range(7):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                "document.activeElement.ariaLabel || document.activeElement.textContent.trim() || document.activeElement.id"
            )
        )
    assert seen[:6] == ["Skip to content", "NEXUS, all viewers", "q", "Viewers", "Add a title", "Model"]
    assert seen[6] == "All of it"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_skip_link__pressed__moves_the_focus_and_keeps_the_address(watched: Watched) -> None:
    page = _shown(watched, "#/viewer/movielens:1")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.url.endswith("#/viewer/movielens:1")


def test_motion__not_wanted__stands_still(open_page: Any, site: Site) -> None:
    watched = open_page(site.url, reduced_motion="reduce")
    page = _shown(watched, "#/viewer/movielens:1")
    moving = page.evaluate("document.getAnimations().length")
    assert moving == 0


def test_weight__viewer_page__is_light(watched: Watched) -> None:
    sizes: dict[
        str, int
    ] = {}  # a file that is asked for again is answered with 304 by the real API, not by the stand-in
    watched.page.on(
        "response",
        lambda one: (
            "/v1/" not in one.url and one.ok and sizes.update({one.url: int(one.headers.get("content-length", "0"))})
        ),
    )
    _shown(watched, "#/viewer/movielens:1")
    watched.page.wait_for_load_state("networkidle")
    assert 20_000 < sum(sizes.values()) < LIGHT_WEIGHT_BYTES
