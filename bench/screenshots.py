"""Takes the pictures in docs/images, of a service with batches that look real: light and dark, desktop and phone.

Run as `python -m bench.screenshots`. One of the runs is played in real time, for its chart: it takes a minute.
"""

import sys
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from bench import showcase
from tests.support.chromium import launched
from tests.support.server import running_server

FOLDER = Path(__file__).parents[1] / "docs" / "images"
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
SETTLED_MS = 1_500  # until the page has loaded its fragments


class Picture(NamedTuple):
    """A picture: its name, the address of its page, and what is clicked first."""

    name: str
    path: str
    click: str = ""
    is_of_phone: bool = False


def screenshots() -> int:
    """Take all pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="interlock-screenshots-") as folder,
        running_server(f"sqlite:///{Path(folder, 'interlock.db')}") as server,
    ):
        player = showcase.Player(server)
        showcase.others(player)
        letters = showcase.answered_letters(player)
        paused = showcase.paused_by_its_limit(player, slowly=True)
        showcase.at_work(player)
        pictures = (
            Picture("batches", "/"),
            Picture("batch", f"/batches/{paused}"),
            Picture("batch-phone", f"/batches/{paused}", is_of_phone=True),
            Picture("results", f"/batches/{letters}/results", "tbody tr:nth-child(4) td:nth-child(3) .cell"),
            Picture("new-batch", "/batches/new"),
        )
        with sync_playwright() as playwright:
            browser = launched(playwright)
            for scheme in SCHEMES:
                _take(browser, server.url, player.token("ada"), scheme, pictures)
            browser.close()
    return 0


def _take(browser: Browser, url: str, token: str, scheme: Scheme, pictures: tuple[Picture, ...]) -> None:
    page = browser.new_page(viewport=DESKTOP, color_scheme=scheme, base_url=url)
    page.goto("/sign-in")
    page.fill("input[name=token]", token)
    page.press("input[name=token]", "Enter")
    page.wait_for_url(lambda url: "sign-in" not in url)
    for picture in pictures:
        _take_one(page, picture)
        path = FOLDER / f"{picture.name}-{scheme}.png"
        page.screenshot(path=path)
        print(f"docs/images/{path.name}", file=sys.stderr)
    page.close()


def _take_one(page: Page, picture: Picture) -> None:
    page.set_viewport_size(PHONE if picture.is_of_phone else DESKTOP)
    page.goto(picture.path)
    if picture.click:
        page.click(picture.click)
        page.mouse.move(0, 0)
    page.wait_for_timeout(SETTLED_MS)


if __name__ == "__main__":
    raise SystemExit(screenshots())
