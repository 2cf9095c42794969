"""The static tree that a page is served from, `build/web`.

    /index.html, /demo/*                        the demo, from web/demo
    /demo/vectors/*.json                        test vectors of ours, for its self-test, and index.json: their names
    /demo/interop/ts_mls_members.js             the other implementation, for the page that puts both into one group; no other loads it
    /pyscript/*                                 pages in which Python itself is the page's program, from web/pyscript;
                                                config.json has the interpreter's address
    /pyscript/core/*                            PyScript, from npm
    /service-worker.js                          that of web/src, where it controls the whole site
    /mls-federation/*.js, *.d.ts                our modules under the names that stay: each exports that of the release
    /mls-federation/<release>/*.js, *.d.ts      our ES modules and the workers, from web/src: each that a page imports or starts, with
                                                what it needs; what several share is in chunk-*.js. Some *.d.ts are made from the modules
    /mls-federation/<release>/vendor/*.js       third-party modules, one bundle for each entry file in web/vendor
    /mls-federation/<release>/wheels/*.whl      the client, as byte code
    /mls-federation/<release>/assets.json       what start-up loads; addresses are relative to this file:
        {"version": "0.1.0",
         "pyodide": {"version": "314.0.7", "directory": "../pyodide-<digest>/", "packages": [], "lock": …},
         "wheels": ["wheels/mls_federation-0.1.0-cp314-none-any.whl"],
         "bytes": {"../pyodide-<digest>/pyodide.asm.wasm": 9598218, ...}}
    /mls-federation/pyodide-<digest>/*          the interpreter, from npm's `pyodide` or another distribution; what start-up imports
                                                is byte code
    */*.br, */*.gz                              the file beside it, compressed

`<release>` and `<digest>` are digests of all that is below them: what is in a folder below /mls-federation/ never changes.
Any static file server can serve the tree; only `.wasm` must be application/wasm and `.mjs` a JavaScript type.
"""

import hashlib
import json
import re
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from dev import pyodide_distribution
from dev.pyodide_distribution import Distribution
from dev.steps import BUILD, ROOT, SetupError, announce, digest, files_in, is_current, mark_current, run

WEB = ROOT / "web"
# The other implementation, that tests and one page are in one group with; apart from ours, so that nothing of it gets into the module.
INTEROP = ROOT / "tests" / "interop"
# What tests and checks of the module need of npm.
CHECKS = WEB / "checks"
INTEROP_BUNDLE = BUILD / "interop"
WEB_ROOT = BUILD / "web"
PYODIDE_TEST_WHEELS = BUILD / "wheels" / "pyodide-tests"

_CLIENT_WHEEL = BUILD / "wheels" / "client"
_BYTE_CODE = BUILD / "byte-code"
_COMPRESSED = BUILD / "compressed"
_VENDOR = BUILD / "vendor"
_MODULES = BUILD / "modules"
_PEER = INTEROP / "ts_mls_members.js"
_TYPES = BUILD / "types"
_PYSCRIPT = WEB / "node_modules" / "@pyscript" / "core" / "dist"
_OWN_VECTORS = ROOT / "tests" / "vectors" / "ours"
# The folder of our ES module, and of all that it loads.
MODULE = "mls-federation"

_STANDARD_LIBRARY = "python_stdlib.zip"
_WHEEL_PARTS = ("pyclient", "pyproject.toml", "README.md", "LICENSE")
_PYODIDE_PYTHON = "3.14"


@dataclass(frozen=True)
class Node:
    """A JavaScript runtime and how to start its npm."""

    program: Path
    npm: tuple[str, ...]


def assemble(python: Path, node: Node, *, for_tests: bool, pyodide: Path | None = None) -> Path:
    """Bring `build/web` up to date with the sources and the lock files, and return it."""
    npm_packages(node, WEB)
    npm_packages(node, INTEROP)
    if for_tests:
        npm_packages(node, CHECKS)
        _download_wheels(python, ROOT / "requirements" / "pyodide-tests.txt", PYODIDE_TEST_WHEELS)
    _build_client_wheel(python)
    distribution = _distribution(pyodide)
    _write_byte_code(node, distribution.folder)
    _bundle_vendor(node)
    _bundle_modules(node)
    _bundle_peer(node)
    _declare_types(node)

    files = _layout(distribution)
    files |= _compress(node, files)
    if _synchronise(files):
        announce(f"{WEB_ROOT.relative_to(ROOT)}/ ({len(files)} files)")
    return WEB_ROOT


def npm_packages(node: Node, folder: Path) -> None:
    """Install what a folder's lock file names, unless that is done."""
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


def _write_byte_code(node: Node, pyodide: Path) -> None:
    programs = [ROOT / "dev" / name for name in ("bytecode.mjs", "bytecode.py")]
    library = (pyodide / _STANDARD_LIBRARY).read_bytes()
    stamp, key = (
        _BYTE_CODE / ".stamp",
        digest((_CLIENT_WHEEL / ".stamp").read_text(), hashlib.sha256(library).hexdigest(), *programs),
    )
    if is_current(stamp, key):
        return
    announce("byte code of what start-up imports")
    _empty(_BYTE_CODE)
    (wheel,) = _CLIENT_WHEEL.glob("*.whl")
    run(
        [node.program, programs[0], pyodide, wheel, _BYTE_CODE],
        failed="Pyodide could not compile the client and the standard library.",
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


# What pages import, and what is started as a worker. Each request delays a start, and each import in a module another one.
_PAGE_MODULES = (
    "call.js",
    "index.js",
    "media-keys.js",
    "mls-polyfill.js",
    "mls.js",
    "python.js",
    "sframe.js",
)
_WORKERS = ("call-worker.js", "snapshot-worker.js", "worker.js")
# Half a megabyte that a worker loads beside the interpreter.
_LOADED_LATER = ("primitives.js",)


def _bundle_modules(node: Node) -> None:
    """Put each of our modules that is asked for by name, and what it needs, into one or a few files, as readable as the sources."""
    stamp, key = (
        _MODULES / ".stamp",
        digest(WEB / "package-lock.json", WEB / "src", (_VENDOR / ".stamp").read_text(), repr(_ESBUILD)),
    )
    if is_current(stamp, key):
        return
    announce("our modules, bundled")
    _empty(_MODULES)
    # The sources import third-party modules as they are served.
    sources = _MODULES / "sources"
    shutil.copytree(WEB / "src", sources, ignore=shutil.ignore_patterns("*.d.ts"))
    shutil.copytree(_VENDOR, sources / "vendor")
    command: list[str | Path] = [node.program, WEB / "node_modules" / "esbuild" / "bin" / "esbuild"]
    external = [f"--external:./{name}" for name in (*_LOADED_LATER, "vendor/primitives.js")]
    # A page has one of each class, whichever of the modules it comes from; a worker has a world of its own.
    for entries, options in (
        (_PAGE_MODULES, ["--splitting", "--chunk-names=chunk-[hash]"]),
        (_WORKERS, []),
        (_LOADED_LATER, []),
    ):
        run(
            [*command, *(sources / name for name in entries), *_ESBUILD, *external, *options],
            cwd=sources,
            failed="esbuild could not bundle our modules.",
        )
    shutil.rmtree(sources)
    mark_current(stamp, key)


_CHUNK = re.compile(r'"\./(chunk-\w+\.js)"')
_ESBUILD = (
    "--bundle",
    "--format=esm",
    "--platform=browser",
    "--target=es2022",
    "--log-level=warning",
    "--outdir=..",
)


def _declare_types(node: Node) -> None:
    """Write the module's types for TypeScript, from its JSDoc; they are no part of the sources, so cannot differ."""
    stamp, key = _TYPES / ".stamp", digest(WEB / "package-lock.json", WEB / "tsconfig.json", WEB / "src")
    if is_current(stamp, key):
        return
    announce("type declarations of the module")
    _empty(_TYPES)
    command: list[str | Path] = [node.program, WEB / "node_modules" / "typescript" / "bin" / "tsc", "-p", WEB]
    command += [
        "--noEmit",
        "false",
        "--declaration",
        "--emitDeclarationOnly",
        "--stripInternal",
        "--outDir",
        _TYPES,
    ]
    run(command, cwd=WEB, failed="The module's types could not be declared: web/src has type errors.")
    # Who imports the module can name the types of what it returns.
    for declared in (_TYPES / "src").glob("*.d.ts"):
        declared.write_text(_IMPORTED_TYPES.sub(r"\g<0>\nexport type \1", declared.read_text()))
    mark_current(stamp, key)


_IMPORTED_TYPES = re.compile(r'^import type (\{.*\} from "\./(?:protocol|call-types)\.js";)$', re.MULTILINE)


def _distribution(given: Path | None) -> Distribution:
    npm = WEB / "node_modules" / "pyodide"
    version = json.loads((npm / "package.json").read_text())["version"]
    return pyodide_distribution.read(given or npm, version=version)


_Files: TypeAlias = dict[str, Path | bytes]
_WRITTEN_TYPES = ("call-protocol.d.ts", "call-types.d.ts", "protocol.d.ts")
_DECLARED = (
    "call.d.ts",
    "client.d.ts",
    "errors.d.ts",
    "group.d.ts",
    "index.d.ts",
    "media-keys.d.ts",
    "mls.d.ts",
    "python.d.ts",
    "sframe-header.d.ts",
    "sframe-key.d.ts",
    "sframe.d.ts",
)


def _layout(distribution: Distribution) -> _Files:
    """Each served path and what is there: a file to copy, or content."""
    vectors = files_in(_OWN_VECTORS)
    files: _Files = {
        "index.html": WEB / "demo" / "index.html",
        "demo/vectors/index.json": json.dumps([file.name for file in vectors]).encode() + b"\n",
        **{f"demo/vectors/{file.name}": file for file in vectors},
        **_below("demo/", WEB / "demo"),
        **_below("demo/interop/", INTEROP_BUNDLE),
        **_below("pyscript/", WEB / "pyscript"),
        **{
            f"pyscript/core/{file.name}": file
            for file in files_in(_PYSCRIPT)
            if file.suffix in {".js", ".css"}
        },
        "service-worker.js": WEB / "src" / "service-worker.js",
    }

    pyodide: _Files = {name: distribution.folder / name for name in distribution.files}
    pyodide[_STANDARD_LIBRARY] = _BYTE_CODE / _STANDARD_LIBRARY
    pyodide_folder = f"pyodide-{_digest_of(pyodide)}"

    release = _below("", _MODULES) | _below("vendor/", _VENDOR)
    release |= {name: WEB / "src" / name for name in ("service-worker.js", *_WRITTEN_TYPES)}
    release |= {name: _TYPES / "src" / name for name in _DECLARED}
    release |= {f"wheels/{wheel.name}": wheel for wheel in sorted(_BYTE_CODE.glob("*.whl"))}
    release["assets.json"] = _assets(release, f"../{pyodide_folder}/", pyodide, distribution)
    release_folder = _digest_of(release)

    module: _Files = {f"{release_folder}/{name}": content for name, content in release.items()}
    module |= {f"{pyodide_folder}/{name}": content for name, content in pyodide.items()}
    for name in release:
        if name.endswith((".js", ".d.ts")) and "/" not in name and not name.startswith("chunk-"):
            released = name.removesuffix(".d.ts").removesuffix(".js")
            # What it imports is named here too, so that a browser need not have read it before it asks for that.
            parts = _CHUNK.findall(_content(release[name]).decode()) if name.endswith(".js") else []
            lines = [f'export * from "./{release_folder}/{released}.js";']
            lines += [f'import "./{release_folder}/{part}";' for part in parts]
            module[name] = "\n".join([*lines, ""]).encode()
    # For pages that have a Pyodide of their own.
    module["comlink.js"] = f'export * from "./{release_folder}/vendor/comlink.js";\n'.encode()
    module["pyodide.mjs"] = f'export * from "./{pyodide_folder}/pyodide.mjs";\n'.encode()
    interpreter = f"/{MODULE}/{pyodide_folder}/pyodide.mjs"
    files["pyscript/config.json"] = json.dumps({"interpreter": interpreter}).encode() + b"\n"
    files |= {f"{MODULE}/{name}": content for name, content in module.items()}

    for path, source in files.items():
        if isinstance(source, Path) and not source.is_file():
            raise SetupError(f"{source.relative_to(ROOT)} is missing; it is served as /{path}.")
    return files


def _below(served: str, folder: Path) -> _Files:
    return {
        f"{served}{file.relative_to(folder).as_posix()}": file
        for file in files_in(folder)
        if file.name != ".stamp"
    }


def _content(source: Path | bytes) -> bytes:
    return source.read_bytes() if isinstance(source, Path) else source


def _digest_of(files: Mapping[str, Path | bytes]) -> str:
    """A name for these files that no others have."""
    state = hashlib.sha256()
    for name, source in sorted(files.items()):
        state.update(name.encode() + b"\0" + hashlib.sha256(_content(source)).digest())
    return state.hexdigest()[:16]


def _assets(release: _Files, pyodide_folder: str, pyodide: _Files, distribution: Distribution) -> bytes:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    # Without the list of all packages of Pyodide's distribution, the start needs no other file.
    info = json.loads((distribution.folder / "pyodide-lock.json").read_text())["info"]
    sources = release | {f"{pyodide_folder}{name}": source for name, source in pyodide.items()}
    assets = {
        "version": project["version"],
        "pyodide": {
            "version": distribution.version,
            "directory": pyodide_folder,
            "packages": list(distribution.packages),
            "lock": {"info": info, "packages": {}},
        },
        "wheels": [name for name in release if name.endswith(".whl")],
        "bytes": {
            name: len(_content(source)) for name, source in sources.items() if name.endswith(_LOADED_AT_START)
        },
    }
    return json.dumps(assets, indent=2).encode() + b"\n"


_LOADED_AT_START = (".js", ".mjs", ".wasm", ".zip", ".json", ".whl")


def release_folder(web_root: Path) -> Path:
    """The folder of the module's release, with its `assets.json`, in a tree that `assemble` made."""
    (assets,) = (web_root / MODULE).glob("*/assets.json")
    return assets.parent


def _compress(node: Node, files: _Files) -> _Files:
    """Compressed forms of the files that are worth it, by served path. What was compressed once is kept."""
    _COMPRESSED.mkdir(parents=True, exist_ok=True)
    kept = {
        path: _COMPRESSED / hashlib.sha256(_content(source)).hexdigest() for path, source in files.items()
    }
    jobs = []
    for path, source in files.items():
        whole, brotli, gzip = kept[path], *_compressed_forms(kept[path])
        if len(_content(source)) < _TOO_SMALL_TO_COMPRESS or (brotli.exists() and gzip.exists()):
            continue
        whole.write_bytes(_content(source))
        jobs.append({"file": str(whole), "brotli": str(brotli), "gzip": str(gzip)})
    if jobs:
        announce(f"{len(jobs)} files, compressed with Brotli and gzip")
        run(
            [node.program, ROOT / "dev" / "compress.mjs", json.dumps(jobs)],
            failed="Node could not compress the files of the page.",
        )
    forms: _Files = {
        f"{path}{form.suffix}": form
        for path, whole in kept.items()
        for form in _compressed_forms(whole)
        if form.exists() and form.stat().st_size < _WORTH_IT * len(_content(files[path]))
    }
    made = {form for whole in kept.values() for form in _compressed_forms(whole)}
    for leftover in set(_COMPRESSED.iterdir()) - made:
        leftover.unlink()
    return forms


def _compressed_forms(file: Path) -> tuple[Path, Path]:
    return file.with_suffix(".br"), file.with_suffix(".gz")


_TOO_SMALL_TO_COMPRESS = 1000  # octets; they fit into the first packet anyway
_WORTH_IT = 0.95  # of the octets; what is compressed already stays as it is


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
