"""Fuzzes one target in this process, under atheris: `python -m fuzz.one TARGET WORK [libFuzzer's options]`.

A finding does not end the run: what shows again at the same place in the code is the same finding, and is kept once.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mls_federation"], enable_loader_override=False):
    from tests.support.strategies import all_structs

    from .target import Finding, Target, run_within_bounds
    from .targets import TARGETS

from mls_federation.codec.struct import _compile

# Instrumented code is slower than the code that is measured.
_SLOWER = 3.0


def main(name: str, work: Path, options: list[str]) -> None:
    """Fuzz until libFuzzer's options say that it is enough. Does not return."""
    target, findings = TARGETS[name], work / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    corpus, seeds = work / "corpus" / name, work / "seeds" / name
    for folder in (corpus, seeds):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (seeds / f"{number:04}").write_bytes(seed)
    _instrument_codecs()
    atheris.Setup(
        [sys.argv[0], str(corpus), str(seeds), f"-artifact_prefix={findings}/{name}-", *options],
        lambda data: _run(target, data, findings),
    )
    atheris.Fuzz()


def _run(target: Target, data: bytes, findings: Path) -> None:
    try:
        run_within_bounds(target, data, _SLOWER)
    except Exception as error:  # noqa: BLE001 - whatever comes out is a finding
        place = findings / f"{target.name}-{_key(error)}"
        if not place.exists():
            place.write_bytes(data)
            place.with_suffix(".txt").write_text(traceback.format_exc())


def _key(error: BaseException) -> str:
    """Names a finding by what it is and where it came from, so that one fault is found once."""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)[-3:]]
    what = str(error).partition(":")[0] if isinstance(error, Finding) else type(error).__name__
    return hashlib.sha256(repr((what, frames)).encode()).hexdigest()[:12]


def _instrument_codecs() -> None:
    """Readers and writers are made when they are first used, not imported, so they are instrumented here."""
    for struct in all_structs():
        if struct._generated is None:
            _compile(struct)
        made = struct._generated
        if made is not None:
            for function in (made.read, made.encode):
                atheris.instrument_func(function)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
