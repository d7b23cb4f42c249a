"""Takes the README's picture from a running page: ``python tests/serving/web/take_picture.py URL [VIEWER] [FILE]``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

SIZE = {"width": 1280, "height": 1080}
COLOURS = 256


def main(url: str, viewer: str = "movielens:1", file: str = "docs/images/page.png") -> None:
    """Open a viewer's page, wait until it is drawn, and keep it as a small PNG."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    target = Path(file)
    target.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, locale="en-GB", reduced_motion="reduce")
        page.goto(f"{url}/#/viewer/{viewer}")
        page.locator("article.card").first.wait_for()
        page.wait_for_load_state("networkidle")
        page.screenshot(path=target)
        browser.close()
    with Image.open(target) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
    sys.stdout.write(f"{target}: {target.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
