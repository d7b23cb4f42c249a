"""A headless Chromium and a stand-in for the API, one of each for all tests of the page.

Belongs here: the browser, the page that watches itself (console, other origins, policy violations).
Does not belong here: what the stand-in answers (site.py).
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported by path (importlib mode); the stand-in lies here
from page_site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 20_000  # a loaded machine is slow; what never comes still fails
WATCH_POLICY = """
  window.violations = [];
  addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective + " " + event.blockedURI));
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium. For one module only: the driver keeps an event loop running in this thread meanwhile,
    which would break other modules' async tests."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("Chromium is not installed: apt-get install --no-install-recommends chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def running_site() -> Iterator[Site]:
    """The stand-in, once."""
    site = Site()
    yield site
    site.close()


@pytest.fixture
def site(running_site: Site) -> Site:
    """The stand-in in a healthy, fresh state."""
    running_site.renew()
    return running_site


@dataclass
class Watched:
    """A page and what it did that it should not."""

    page: Page
    url: str
    console: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, hash_: str) -> Page:
        """Go to an address of the page, from scratch."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}/{hash_}")
        return self.page


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Any]:
    """``open_page(url, **context)`` gives a :class:`Watched`; afterwards it must have kept the rules."""
    opened: list[Watched] = []

    def make(url: str, **context: Any) -> Watched:
        made = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **context})
        page = made.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(WATCH_POLICY)
        watched = Watched(page, url)
        page.on("console", lambda message: message.type == "error" and watched.console.append(message.text))
        page.on("pageerror", lambda error: watched.console.append(str(error)))
        page.on("request", lambda request: watched.requests.append(request.url))
        opened.append(watched)
        return watched

    yield make
    for watched in opened:
        violations = watched.page.evaluate("window.violations ?? []")
        watched.page.context.close()
        # A refused or failed request shows in the console; that is the browser's word, not the page's.
        said = [text for text in watched.console if not text.startswith("Failed to load resource")]
        elsewhere = [url for url in watched.requests if not url.startswith((watched.url, "about:"))]
        assert (violations, said, elsewhere) == ([], [], [])


@pytest.fixture
def watched(open_page: Any, site: Site) -> Watched:
    """A page on the stand-in, desktop size."""
    return open_page(site.url)
