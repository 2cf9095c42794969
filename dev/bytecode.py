"""Byte code for archives of Python modules; runs inside Pyodide, started by `bytecode.mjs`.

Byte code is that of one Python version, so the one that will run it writes it. A visitor's browser need not compile what it imports
at start-up then, which takes several times as long as all the rest. Entries are stored as they are: whole archives are compressed
on their way, which makes them smaller than entries compressed one by one.
"""

import base64
import hashlib
import importlib
import py_compile
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

_STANDARD_LIBRARY = "/lib/python314.zip/"
_TAG = "cp314-none-any"
# Equal sources give equal archives, so nothing in them may be of the day.
_DATE = (1980, 1, 1, 0, 0, 0)


def compile_archives(standard_library: str, wheel: str, target: str) -> None:
    """Write both archives anew into the folder `target`: the wheel's modules, and of the library those that it needs at start-up."""
    sys.path.append(wheel)
    importlib.import_module("mls_federation.browser.startup").import_all()
    needed = _imported_from(_STANDARD_LIBRARY)
    written = Path(target)
    written.mkdir()
    _compile(
        Path(standard_library), written / Path(standard_library).name, needed.__contains__, _STANDARD_LIBRARY
    )
    name = Path(wheel).name.replace("py3-none-any", _TAG)
    _compile(Path(wheel), written / name, lambda file: file.endswith(".py"), "")


def _imported_from(folder: str) -> set[str]:
    """The files below a folder that modules of this interpreter came from."""
    origins = (getattr(module.__spec__, "origin", None) for module in list(sys.modules.values()))
    return {origin.removeprefix(folder) for origin in origins if origin and origin.startswith(folder)}


def _compile(source: Path, target: Path, chosen: Callable[[str], bool], prefix: str) -> None:
    """Copy an archive with byte code in place of the chosen modules; tracebacks show `prefix` before their names."""
    with zipfile.ZipFile(source) as archive:
        files = {name: archive.read(name) for name in sorted(archive.namelist())}
    files = dict(
        (f"{name}c", _byte_code(content, prefix + name)) if chosen(name) else (name, content)
        for name, content in files.items()
    )
    for record in [name for name in files if name.endswith(".dist-info/RECORD")]:
        tagged = f"{PurePosixPath(record).parent}/WHEEL"
        files[tagged] = files[tagged].replace(b"Tag: py3-none-any", b"Tag: " + _TAG.encode())
        files[record] = _record(record, files)
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content)


def _byte_code(source: bytes, name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "module.py")
        file.write_bytes(source)
        compiled = py_compile.compile(
            str(file),
            dfile=name,
            doraise=True,
            # There is no source beside it to be compared with.
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        assert compiled is not None
        return Path(compiled).read_bytes()


def _record(own_name: str, files: dict[str, bytes]) -> bytes:
    """The wheel's list of what is in it (PEP 627)."""
    lines = []
    for name, content in files.items():
        if name != own_name:
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(content)}")
    return "\n".join([*lines, f"{own_name},,", ""]).encode()
