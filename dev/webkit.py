"""A WebKit for the browser tests, WebKitGTK's, and the virtual screen that it needs."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from dev import debian
from dev.steps import SetupError

_PACKAGES = {"WebKitWebDriver": "webkit2gtk-driver", "Xvfb": "xvfb"}


@dataclass(frozen=True)
class WebKit:
    """The programs that are needed."""

    driver: Path
    screen: Path


def find_or_install() -> WebKit:
    """WebKitGTK's WebDriver and Xvfb, from the PATH, or as root on Debian from the distribution's packages.

    Raises:
        SetupError: one is not there and cannot be installed.
    """
    if (missing := _missing()) and debian.can_install():
        debian.install(*(_PACKAGES[name] for name in missing))
    if missing := _missing():
        packages = ", ".join(_PACKAGES[name] for name in missing)
        raise SetupError(f"WebKit cannot be tested without {', '.join(missing)} (Debian: {packages}).")
    driver, screen = (Path(shutil.which(name) or name) for name in _PACKAGES)
    return WebKit(driver, screen)


def _missing() -> list[str]:
    return [name for name in _PACKAGES if shutil.which(name) is None]
