"""`python -m mls_federation vectors`, in processes of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mls_federation.vectors import FAMILIES
from tests.support.own_vectors import FOLDER, own_entries
from tests.support.vector_files import SHA256, find_data_file, folders


def vectors(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, output and error output."""
    command = [sys.executable, "-m", "mls_federation", "vectors", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_ours_pass() -> None:
    files = [FOLDER / "ours" / f"{family}.json" for family in FAMILIES]
    code, output, errors = vectors(*files)
    assert (code, errors) == (0, "")
    for file, family, line in zip(files, FAMILIES, output.splitlines(), strict=True):
        assert line == f"{file}  {family}  {len(own_entries(family))} passed, 0 failed, 0 skipped"


def test_official_files_pass() -> None:
    files = [find_data_file(f"{name}.json", folders()) for name in SHA256]
    code, output, errors = vectors(*files)
    assert (code, errors) == (0, "")
    lines = [
        re.fullmatch(r"(.+)  ([\w-]+)  (\d+) passed, 0 failed, 0 skipped", line)
        for line in output.splitlines()
    ]
    assert [line and line[1] for line in lines] == [str(file) for file in files]
    assert {line and line[2] for line in lines} == set(FAMILIES)
    assert all(line and int(line[3]) > 0 for line in lines)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_generated_passes(tmp_path: Path, family: str) -> None:
    code, output, errors = vectors("--generate", family, "--suite", "2")
    assert (code, errors) == (0, "")
    assert {entry.get("cipher_suite", 2) for entry in json.loads(output)} == {2}
    # The name says nothing of the family.
    file = tmp_path / "new.json"
    file.write_text(output)
    code, output, errors = vectors(file)
    assert (code, errors) == (0, "")
    assert f"  {family}  " in output


def test_all_suites_are_generated_where_none_is_named() -> None:
    _, output, _ = vectors("--generate", "psk_secret")
    assert {entry["cipher_suite"] for entry in json.loads(output)} == set(range(1, 8))


def test_failures_are_shown_and_counted(tmp_path: Path) -> None:
    entries = own_entries("psk_secret")
    for entry in entries[:7]:
        entry["psk_secret"] = "00"
    entries[7]["cipher_suite"] = 0x0A0A
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(entries))

    code, output, errors = vectors(FOLDER / "ours" / "welcome.json", file)

    assert (code, errors) == (1, "")
    _, summary, *failures, more = output.splitlines()
    assert summary == f"{file}  psk_secret  1 passed, 7 failed, 1 skipped (suites that pyca lacks)"
    assert [line.partition(",")[0] for line in failures] == [
        f"    entry {number}: vector-mismatch: psk_secret: expected 00" for number in range(5)
    ]
    assert more == "    and 2 more"


def test_files_that_hold_no_vectors(tmp_path: Path) -> None:
    empty, absent = tmp_path / "empty.json", tmp_path / "absent.json"
    empty.write_text("[]")
    code, output, errors = vectors(empty, absent, FOLDER / "ours" / "welcome.json")
    assert code == 2
    assert output.endswith("6 passed, 0 failed, 0 skipped\n")
    assert errors.splitlines() == [
        f"{empty}  bad-vector: a vector file is a JSON array of objects, and not empty",
        f"{absent}  cannot be read: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "FILE --generate is required"),
        (["--generate", "nonsense"], "invalid choice: 'nonsense'"),
        (["--generate", "welcome", "file.json"], "not allowed with argument"),
        (["--generate", "welcome", "--suite", "x"], "x is not the number of a cipher suite"),
    ],
)
def test_arguments_that_cannot_be_understood(arguments: list[str], words: str) -> None:
    code, output, errors = vectors(*arguments)
    assert (code, output) == (2, "")
    assert words in errors


def test_a_suite_that_is_not_there() -> None:
    code, output, errors = vectors("--generate", "welcome", "--suite", "99")
    assert (code, output) == (1, "")
    assert errors == "bad-argument: pyca lacks cipher suite 0x0063\n"
