"""Takes the pictures in docs/images, light and dark, of a service with the demo's batch.

Run as `python -m bench.screenshots`.
"""

import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, ViewportSize, sync_playwright
from rich.console import Console

from app.demo.run import run_demo
from tests.support.chromium import launched
from tests.support.server import running_server

FOLDER = Path(__file__).parents[1] / "docs" / "images"
SIZE: ViewportSize = {"width": 1200, "height": 860}
BATCH = 1  # the demo's: the database is fresh
PICTURES = {"batches": "/", "batch": f"/batches/{BATCH}", "results": f"/batches/{BATCH}/results"}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SETTLED_MS = 1_500  # until the page has loaded its fragments and drawn its charts


def screenshots() -> int:
    """Take all pictures. Return 0, or 1 when the demo fails."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="interlock-screenshots-") as folder,
        running_server(f"sqlite:///{Path(folder, 'interlock.db')}", EMBEDDED_WORKER="1") as server,
    ):
        if run_demo(server.url, server.tokens["admin"], Console(stderr=True)):
            return 1
        with server.session() as http:
            made = http.post(f"{server.url}/api/tokens", json={"name": "ada", "role": "operator"})
        with sync_playwright() as playwright:
            browser = launched(playwright)
            _take(browser, server.url, made.json()["token"])
            browser.close()
    return 0


def _take(browser: Browser, url: str, token: str) -> None:
    for scheme in SCHEMES:
        page = browser.new_page(viewport=SIZE, color_scheme=scheme, base_url=url)
        page.goto("/sign-in")
        page.fill("input[name=token]", token)
        page.press("input[name=token]", "Enter")
        page.wait_for_url(lambda url: "sign-in" not in url)
        for name, path in PICTURES.items():
            page.goto(path)
            page.wait_for_timeout(SETTLED_MS)
            page.screenshot(path=FOLDER / f"{name}-{scheme}.png")
            print(f"docs/images/{name}-{scheme}.png", file=sys.stderr)
        page.close()


if __name__ == "__main__":
    raise SystemExit(screenshots())
