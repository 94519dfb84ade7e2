"""A real Chromium: the machine's, or the one that Playwright installs for itself."""

import shutil
import subprocess
import sys

from playwright.sync_api import Browser, Error, Playwright

# The headless shell first: it makes no windows, and a new page costs it a fifth of the time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]  # root has no sandbox, a container a small /dev/shm
INSTALL_SECONDS = 300


class NoChromium(Exception):
    """No Chromium is installed; the message is the command that installs it."""


def launched(playwright: Playwright) -> Browser:
    """Start it. Raises NoChromium."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path:
        return playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
    try:
        return playwright.chromium.launch(args=ARGUMENTS)
    except Error:
        install = [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]
        subprocess.run(install, check=False, timeout=INSTALL_SECONDS, capture_output=True)
    try:
        return playwright.chromium.launch(args=ARGUMENTS)
    except Error as error:
        helps = (
            f"apt-get install chromium-headless-shell, or {sys.executable} -m playwright install --with-deps chromium"
        )
        raise NoChromium(f"The pages are tested in Chromium, which is missing: {helps}\n{error}") from error
