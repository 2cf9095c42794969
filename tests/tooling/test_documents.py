"""What the documents say of tests: that they are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def named_tests() -> list[tuple[str, str]]:
    """File and function, which may be empty, of each test that docs/threat-model.md names."""
    found = _NAMED.findall((ROOT / "docs/threat-model.md").read_text(encoding="utf-8"))
    assert len(found) > 30
    return sorted(set(found))


@pytest.mark.parametrize(("file", "function"), named_tests())
def test_a_test_that_the_threat_model_names_is_there(file: str, function: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert f"def {function or 'test_'}" in text
