"""Each rule of rules.toml has a test that names it, or a reason; and docs/rules.md says which."""

from __future__ import annotations

import pytest

from .rules_table import DOCUMENT, Rule, collect, document, faults, load_rules


@pytest.fixture(scope="module")
def rules() -> dict[str, Rule]:
    return load_rules()


@pytest.fixture(scope="module")
def shown() -> dict[str, dict[str, list[str]]]:
    return collect()


def test_every_rule_has_a_test_or_a_reason(
    rules: dict[str, Rule], shown: dict[str, dict[str, list[str]]]
) -> None:
    assert len(rules) > 200
    assert faults(rules, shown) == []


def test_the_document_is_what_rules_and_tests_say(
    rules: dict[str, Rule], shown: dict[str, dict[str, list[str]]]
) -> None:
    # `python -m tests.spec.rules_table` writes it.
    assert DOCUMENT.read_text() == document(rules, shown)


def test_faults_are_found() -> None:
    one, other, third = (Rule(f"1-0{number}", "check", "") for number in (1, 2, 3))
    covered = {"1-01": {"tests/x.py::test": ["case"]}}
    rules = {rule.id: rule for rule in (one, other, third)}
    rules["1-03"] = Rule("1-03", "check", "", uncovered="hard")
    assert faults(rules, covered) == ["1-02 has neither a test nor a reason for none"]
    assert faults({"1-01": one}, {**covered, "9-09": {}}) == ["9-09 is no rule, but a test names it"]
    rules = {"1-01": Rule("1-01", "check", "", uncovered="hard")}
    assert faults(rules, covered) == ["1-01 has a reason for no test, and a test"]
