"""The npm package: the module with all that it loads, its types, and a starter: `python3 -m dev.package`.

Writes `build/package/mls-federation/`, which is the package's folder, and beside it the archive that `npm publish` would send.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from dev import environment, web_tree
from dev.environment import Environment
from dev.steps import (
    BUILD,
    ROOT,
    SetupError,
    announce,
    digest,
    files_in,
    is_current,
    locked,
    mark_current,
    run,
)

FOLDER = BUILD / "package" / "mls-federation"
EXAMPLE = ROOT / "web" / "examples" / "vite"

_WEB = ROOT / "web"
# Of use to this repository alone: what the module needs of others is in it.
_OURS_ALONE = ("private", "scripts", "dependencies", "devDependencies")


def build(ready: Environment) -> Path:
    """Make the package, unless it is there as it would be, and return its archive.

    Args:
        ready: the set-up, whose served tree has the module.
    """
    module, own = ready.web_root / "mls-federation", _WEB / "package"
    stamp, key = FOLDER.parent / ".stamp", digest(module, own, _WEB / "package.json", ROOT / "LICENSE")
    with locked(BUILD / ".package.lock", wait=True):
        if not is_current(stamp, key):
            _pack(ready, module, own)
            mark_current(stamp, key)
    (archive,) = FOLDER.parent.glob("*.tgz")
    return archive


def _pack(ready: Environment, module: Path, own: Path) -> None:
    shutil.rmtree(FOLDER.parent, ignore_errors=True)
    shutil.copytree(module, FOLDER / "module")
    for file in files_in(own):
        target = FOLDER / file.relative_to(own)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)
    shutil.copy2(ROOT / "LICENSE", FOLDER)
    description = json.loads((_WEB / "package.json").read_text())
    published = {name: value for name, value in description.items() if name not in _OURS_ALONE}
    (FOLDER / "package.json").write_text(json.dumps(published, indent=2) + "\n")
    run(
        [*ready.node.npm, "pack", "--ignore-scripts", "--pack-destination", FOLDER.parent],
        cwd=FOLDER,
        failed="npm could not pack the package.",
    )


def build_example(ready: Environment, folder: Path, services: Mapping[str, str]) -> None:
    """Build the example with Vite, on the package as it is now.

    Args:
        folder: where the site goes.
        services: the addresses of the delivery services of `a.example` and `b.example`.
    """
    build(ready)
    with locked(BUILD / ".example.lock", wait=True):
        web_tree.npm_packages(ready.node, EXAMPLE)
        variables = {"VITE_SERVICE_A": services["a.example"], "VITE_SERVICE_B": services["b.example"]}
        run(
            [*ready.node.npm, "run", "build", "--", "--outDir", folder, "--emptyOutDir"],
            cwd=EXAMPLE,
            env=variables,
            failed="Vite could not build the example.",
        )


def main() -> int:
    """Set up, then make the package."""
    try:
        archive = build(environment.prepare(development=False))
    except SetupError as error:
        print(f"The package could not be made. {error}", file=sys.stderr)
        return 1
    announce(f"{archive.relative_to(ROOT).as_posix()} ({archive.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
