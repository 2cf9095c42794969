"""The static tree that a page is served from, `build/web`.

    /index.html, /demo/*                 the demo, from web/demo
    /demo/vectors/*.json                 test vectors of ours, for its self-test, and index.json: their names
    /mls-federation/*.js, *.d.ts         our ES module and its worker, from web/src; index.d.ts is made from index.js
    /mls-federation/vendor/*.js          third-party modules, one bundle for each entry file in web/vendor
    /mls-federation/pyodide/*            the interpreter, from npm's `pyodide`
    /mls-federation/wheels/*.whl         what micropip installs, in the order that assets.json gives
    /mls-federation/assets.json          what start-up loads; addresses are relative to this file:
        {"version": "0.1.0",
         "pyodide": {"version": "314.0.7", "directory": "pyodide/"},
         "wheels": ["wheels/micropip-....whl", ..., "wheels/mls_federation-0.1.0-py3-none-any.whl"],
         "bytes": {"pyodide/pyodide.asm.wasm": 9598218, ...}}

Any static file server can serve it; only `.wasm` must be application/wasm and `.mjs` a JavaScript type.
"""

import json
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

from dev.steps import BUILD, ROOT, SetupError, announce, digest, files_in, is_current, mark_current, run

WEB = ROOT / "web"
# The other implementation that tests are in one group with; apart from ours, so that nothing of it can reach a visitor.
INTEROP = ROOT / "tests" / "interop"
INTEROP_BUNDLE = BUILD / "interop"
WEB_ROOT = BUILD / "web"
PYODIDE_TEST_WHEELS = BUILD / "wheels" / "pyodide-tests"

_PAGE_WHEELS = BUILD / "wheels" / "page"
_CLIENT_WHEEL = BUILD / "wheels" / "client"
_VENDOR = BUILD / "vendor"
_PEER = INTEROP / "ts_mls_members.js"
_TYPES = BUILD / "types"
_OWN_VECTORS = ROOT / "tests" / "vectors" / "ours"
_MODULE = "mls-federation"

_PYODIDE_FILES = (
    "pyodide.mjs",
    "pyodide.asm.mjs",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    "pyodide-lock.json",
)
_WHEEL_PARTS = ("pyclient", "pyproject.toml", "README.md", "LICENSE")
_PYODIDE_PYTHON = "3.14"


@dataclass(frozen=True)
class Node:
    """A JavaScript runtime and how to start its npm."""

    program: Path
    npm: tuple[str, ...]


def assemble(python: Path, node: Node, *, for_tests: bool) -> Path:
    """Bring `build/web` up to date with the sources and the lock files, and return it."""
    _npm_packages(node, WEB)
    _download_wheels(python, ROOT / "requirements" / "page.txt", _PAGE_WHEELS)
    if for_tests:
        _npm_packages(node, INTEROP)
        _download_wheels(python, ROOT / "requirements" / "pyodide-tests.txt", PYODIDE_TEST_WHEELS)
    _build_client_wheel(python)
    _bundle_vendor(node)
    if for_tests:
        _bundle_peer(node)
    _declare_types(node)

    files = _layout()
    files[f"{_MODULE}/assets.json"] = _assets(files)
    if _synchronise(files):
        announce(f"{WEB_ROOT.relative_to(ROOT)}/ ({len(files)} files)")
    return WEB_ROOT


def _npm_packages(node: Node, folder: Path) -> None:
    lock = folder / "package-lock.json"
    stamp = folder / "node_modules" / ".mls-federation-stamp"
    key = digest(lock, folder / ".npmrc")
    if is_current(stamp, key):
        return
    announce(f"npm packages of {lock.relative_to(ROOT).as_posix()}")
    # No install script of a package is run: none of ours needs one.
    run(
        [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        failed=f"npm could not install {lock.relative_to(ROOT).as_posix()}. "
        "Is the network there, and can it reach the npm registry? Then run the same command again.",
    )
    mark_current(stamp, key)


def _download_wheels(python: Path, lock: Path, folder: Path) -> None:
    """Fetch pure wheels for Pyodide's Python, as it has no pip to build or choose others."""
    stamp, key = folder / ".stamp", digest(lock, _PYODIDE_PYTHON)
    if is_current(stamp, key):
        return
    announce(f"wheels of {lock.relative_to(ROOT)}")
    _empty(folder)
    command: list[str | Path] = [python, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--implementation=py", "--abi=none", "--platform=any"]
    command += [f"--python-version={_PYODIDE_PYTHON}", "--dest", folder, "--requirement", lock]
    run(
        command,
        failed=f"pip could not download {lock.relative_to(ROOT)}. "
        "Is the network there, and can it reach PyPI? Then run the same command again.",
    )
    mark_current(stamp, key)


def _build_client_wheel(python: Path) -> None:
    stamp, key = (
        _CLIENT_WHEEL / ".stamp",
        digest(*(ROOT / part for part in _WHEEL_PARTS)),
    )
    if is_current(stamp, key):
        return
    announce("wheel of mls-federation")
    _empty(_CLIENT_WHEEL)
    run(
        [python, "-m", "hatchling", "build", "--target", "wheel", "--directory", _CLIENT_WHEEL],
        failed="The client's wheel could not be built.",
    )
    mark_current(stamp, key)


def _bundle_vendor(node: Node) -> None:
    entries = sorted((WEB / "vendor").glob("*.js"))
    _bundle(node, entries, _VENDOR, lock=WEB / "package-lock.json", minify=True)


def _bundle_peer(node: Node) -> None:
    _bundle(node, [_PEER], INTEROP_BUNDLE, lock=INTEROP / "package-lock.json", minify=False)


def _bundle(node: Node, entries: list[Path], folder: Path, *, lock: Path, minify: bool) -> None:
    """Write each entry file and all that it imports into one module."""
    stamp, key = folder / ".stamp", digest(lock, WEB / "package-lock.json", *entries)
    if is_current(stamp, key):
        return
    announce(f"third-party modules in {folder.relative_to(ROOT).as_posix()}/, bundled for the browser")
    _empty(folder)
    if entries:
        command: list[str | Path] = [
            node.program,
            WEB / "node_modules" / "esbuild" / "bin" / "esbuild",
            *entries,
        ]
        command += ["--bundle", "--format=esm", "--platform=browser", "--target=es2022"]
        command += ["--minify"] if minify else []
        command += ["--legal-comments=linked", "--log-level=warning", f"--outdir={folder}"]
        run(
            command,
            cwd=WEB,
            failed=f"esbuild could not bundle {', '.join(str(entry.relative_to(ROOT)) for entry in entries)}.",
        )
    mark_current(stamp, key)


def _declare_types(node: Node) -> None:
    """Write the module's types for TypeScript, from its JSDoc; they are no part of the sources, so cannot differ."""
    stamp, key = _TYPES / ".stamp", digest(WEB / "package-lock.json", WEB / "tsconfig.json", WEB / "src")
    if is_current(stamp, key):
        return
    announce("type declarations of the module")
    _empty(_TYPES)
    command: list[str | Path] = [node.program, WEB / "node_modules" / "typescript" / "bin" / "tsc", "-p", WEB]
    command += ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--outDir", _TYPES]
    run(command, cwd=WEB, failed="The module's types could not be declared: web/src has type errors.")
    mark_current(stamp, key)


def _layout() -> dict[str, Path | bytes]:
    """Each served path and what is there: a file to copy, or content."""
    pyodide = WEB / "node_modules" / "pyodide"
    files: dict[str, Path | bytes] = {"index.html": WEB / "demo" / "index.html"}
    for source, served in (
        (WEB / "demo", "demo"),
        (WEB / "src", _MODULE),
        (_VENDOR, f"{_MODULE}/vendor"),
    ):
        for file in files_in(source):
            if file.name != ".stamp":
                files[f"{served}/{file.relative_to(source).as_posix()}"] = file
    vectors = files_in(_OWN_VECTORS)
    files |= {f"demo/vectors/{file.name}": file for file in vectors}
    files["demo/vectors/index.json"] = json.dumps([file.name for file in vectors]).encode() + b"\n"
    files[f"{_MODULE}/index.d.ts"] = _TYPES / "src" / "index.d.ts"
    for name in _PYODIDE_FILES:
        files[f"{_MODULE}/pyodide/{name}"] = pyodide / name
    for wheel in _wheels():
        files[f"{_MODULE}/wheels/{wheel.name}"] = wheel

    for path, source_file in files.items():
        if isinstance(source_file, Path) and not source_file.is_file():
            raise SetupError(f"{source_file.relative_to(ROOT)} is missing; it is served as /{path}.")
    return files


def _wheels() -> list[Path]:
    """The wheels in the order in which they are installed."""
    return [*sorted(_PAGE_WHEELS.glob("*.whl")), *sorted(_CLIENT_WHEEL.glob("*.whl"))]


def _assets(files: dict[str, Path | bytes]) -> bytes:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pyodide = json.loads((WEB / "node_modules" / "pyodide" / "package.json").read_text())
    sizes = {
        path.removeprefix(f"{_MODULE}/"): content.stat().st_size
        for path, content in files.items()
        if isinstance(content, Path) and path.startswith(f"{_MODULE}/") and path.endswith(_LOADED_AT_START)
    }
    assets = {
        "version": project["version"],
        "pyodide": {"version": pyodide["version"], "directory": "pyodide/"},
        "wheels": [f"wheels/{wheel.name}" for wheel in _wheels()],
        "bytes": sizes,
    }
    return json.dumps(assets, indent=2).encode() + b"\n"


_LOADED_AT_START = (".js", ".mjs", ".wasm", ".zip", ".json", ".whl")


def _synchronise(files: dict[str, Path | bytes]) -> bool:
    """Make the served tree hold exactly these files; whether anything had to change.

    Files are replaced whole, since a server may be reading them.
    """
    changed = False
    for path, content in files.items():
        target = WEB_ROOT / path
        if _same(target, content):
            continue
        changed = True
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.new")
        if isinstance(content, bytes):
            fresh.write_bytes(content)
        else:
            shutil.copy2(content, fresh)
        fresh.replace(target)
    for stale in [file for file in WEB_ROOT.rglob("*") if file.is_file()]:
        if stale.relative_to(WEB_ROOT).as_posix() not in files:
            changed = True
            stale.unlink()
    return changed


def _same(target: Path, content: Path | bytes) -> bool:
    if not target.is_file():
        return False
    if isinstance(content, bytes):
        return target.read_bytes() == content
    # A copy keeps its source's time, so equal size and time mean an equal file.
    ours, theirs = target.stat(), content.stat()
    return (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
