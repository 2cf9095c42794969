"""The distribution's packages, where this is Debian and we may install them."""

import os
import shutil
import sys

from dev.steps import announce, run


def can_install() -> bool:
    """Whether packages can be installed without asking anybody."""
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(*packages: str) -> None:
    """Install packages, and of what they recommend nothing.

    Raises:
        SetupError: apt-get could not.
    """
    announce(f"{', '.join(packages)} from the distribution's packages (apt-get)")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update"], failed="apt-get could not read the lists of packages.", env=quiet)
    run(
        ["apt-get", "install", "-y", "--no-install-recommends", *packages],
        failed=f"apt-get could not install {', '.join(packages)}.",
        env=quiet,
    )
