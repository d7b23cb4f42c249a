"""The page on the real API with real servers behind it."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Watched
pytestmark = pytest.mark.integration


@pytest.fixture
def api(world: Any) -> Iterator[str]:
    """The real app on a free port."""
    import uvicorn

    from serving.app import create_app

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # who connects before the app is up waits
        server = uvicorn.Server(uvicorn.Config(create_app(world.settings), log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)


def test_page__real_api__first_rating_makes_a_viewer_with_recommendations(api: str, world: Any, open_page: Any) -> None:
    from playwright.sync_api import expect

    watched: Watched = open_page(api)
    page = watched.page
    page.set_default_timeout(20_000)
    watched.open(f"#/viewer/{world.viewer}")
    expect(page.locator("main")).to_contain_text("recommendations start with the first", timeout=20_000)
    page.goto(f"{api}/#/search?q={world.tag}")
    page.locator(".tile").first.click()
    name = page.get_by_role("dialog").locator("h2").inner_text()
    page.get_by_role("dialog").get_by_role("button", name="5 of 5 stars").click()
    expect(page.locator("#toasts")).to_contain_text(f"Rated {name}")
    page.keyboard.press("Escape")
    page.goto(f"{api}/#/viewer/{world.viewer}")
    expect(page.locator(".rail li")).to_have_count(1)
    card = page.locator("article.card").first
    expect(card.locator(".reason")).to_contain_text(name)
    names = page.locator(".card-link").all_inner_texts()
    assert name not in names
    first = names[0]
    page.get_by_role("button", name=f"Not for me: {first}", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("will not be recommended")
    expect(page.locator(".card-link", has_text=re.compile(f"^{re.escape(first)}$"))).to_have_count(0)


def test_page__real_api__shows_the_served_model_beside_its_floor(api: str, open_page: Any) -> None:
    from playwright.sync_api import expect

    page = open_page(api).open("#/model")
    expect(page.locator(".chart tbody tr")).to_have_count(2, timeout=20_000)
    expect(page.locator(".chart tbody tr").first).to_contain_text("0.100")
    expect(page.locator("#health")).not_to_contain_text("Asking")
