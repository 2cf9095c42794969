"""A Firefox for the browser tests: one that is there, else Debian's. Playwright drives it by WebDriver BiDi."""

import os
import shutil
from pathlib import Path
from typing import Any

from dev import debian
from dev.steps import SetupError

# Playwright's own Firefox is a patched one; this channel starts the one that people have.
CHANNEL = "moz-firefox"
# What Playwright would otherwise emulate, and cannot in this channel.
CONTEXT_OPTIONS: dict[str, Any] = {
    "color_scheme": "null",
    "contrast": "null",
    "forced_colors": "null",
    "reduced_motion": "null",
    "no_viewport": True,
}

_VARIABLE = "MLS_FIREFOX"
_NAMES = ("firefox-esr", "firefox")
_FIXED_PLACES = (Path("/Applications/Firefox.app/Contents/MacOS/firefox"),)


def find_or_install() -> Path:
    """The browser's program file.

    Looks at MLS_FIREFOX, then the PATH; then, as root on Debian, installs the distribution's package.

    Raises:
        SetupError: there is none and none can be installed.
    """
    if named := os.environ.get(_VARIABLE):
        if not os.access(named, os.X_OK):
            raise SetupError(f"{_VARIABLE} names {named}, which is not a program.")
        return Path(named)
    if found := _installed():
        return found
    if debian.can_install():
        debian.install("firefox-esr")
        if found := _installed():
            return found
    raise SetupError(
        f"Firefox was not found. Install it, or name its program file in the environment variable {_VARIABLE}."
    )


def _installed() -> Path | None:
    for name in _NAMES:
        if path := shutil.which(name):
            return Path(path)
    return next((place for place in _FIXED_PLACES if os.access(place, os.X_OK)), None)
