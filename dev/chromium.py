"""A Chromium for the browser tests: one that is there, else one that is installed."""

import os
import shutil
from pathlib import Path

from dev import debian
from dev.steps import SetupError, announce, run

_VARIABLE = "MLS_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FIXED_PLACES = (
    Path("/usr/bin/chromium"),
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
)


def find_or_install(python: Path) -> Path:
    """The browser's program file.

    Looks at MLS_CHROMIUM, then the PATH; then, as root on Debian, installs the distribution's package; then asks Playwright
    for its own build.

    Raises:
        SetupError: there is none and none can be installed.
    """
    if named := os.environ.get(_VARIABLE):
        if not os.access(named, os.X_OK):
            raise SetupError(f"{_VARIABLE} names {named}, which is not a program.")
        return Path(named)
    if found := _installed():
        return found
    attempts = []
    for install in (_from_debian, _from_playwright):
        try:
            if found := install(python):
                return found
        except SetupError as error:
            attempts.append(str(error))
    raise SetupError(
        "The browser tests need Chromium, and it could not be had. Install Chromium or Chrome, "
        f"or name its program file in the environment variable {_VARIABLE}.\n" + "\n".join(attempts)
    )


def _installed() -> Path | None:
    for name in _NAMES:
        if path := shutil.which(name):
            return Path(path)
    return next((place for place in _FIXED_PLACES if os.access(place, os.X_OK)), None)


def _from_debian(_: Path) -> Path | None:
    if not debian.can_install():
        return None
    debian.install("chromium")
    return _installed()


def _from_playwright(python: Path) -> Path | None:
    announce("Chromium from Playwright")
    run([python, "-m", "playwright", "install", "chromium"], failed="Playwright could not download Chromium.")
    script = (
        "from playwright.sync_api import sync_playwright\n"
        "with sync_playwright() as p: print(p.chromium.executable_path)"
    )
    path = Path(run([python, "-c", script], failed="Playwright does not start.").strip())
    return path if path.exists() else None
