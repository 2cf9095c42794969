"""Writes docs/rules.md: what RFC 9420 asks of a client, and which tests show that it is so.

    python -m tests.spec.rules_table

The rules are in rules.toml; the tests say which of them they show by `@pytest.mark.rule("12.2-03")`. They are collected,
not run.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
DOCUMENT = ROOT / "docs" / "rules.md"
# Where tests of the engine and the client are. None of them needs a browser or a service to be collected.
COLLECTED = ("tests/unit", "tests/vectors")

FEW = 3

KINDS = {
    "check": "is checked of what comes in",
    "make": "holds for what we send and compute",
    "keep": "is about how long secrets live, and how often they are used",
    "client": "is for the program around the engine",
    "outside": "binds nobody here",
}
SECTION_NAMES = {
    "2": "Terminology and the presentation language",
    "5": "Cryptographic objects",
    "6": "Message framing",
    "7": "Ratchet tree operations",
    "8": "Key schedule",
    "9": "Secret tree",
    "10": "Key packages",
    "11": "Group creation",
    "12": "Group evolution",
    "13": "Extensibility",
    "14": "Sequencing of state changes",
    "15": "Application messages",
    "16": "Security considerations",
    "17": "IANA considerations",
}
_ID = re.compile(r"\d+(\.\d+)*-\d\d")


@dataclass(frozen=True)
class Rule:
    """Something that RFC 9420 asks.

    Attributes:
        id: the section and a number, as in "12.2-03".
        kind: one of `KINDS`.
        asks: what, in our own words.
        uncovered: why no test shows it; None if one must.
        reason: why it binds nobody here; None if it does.
    """

    id: str
    kind: str
    asks: str
    uncovered: str | None = None
    reason: str | None = None

    @property
    def section(self) -> str:
        """Its section of RFC 9420, as in "12.2"."""
        return self.id.partition("-")[0]

    @property
    def chapter(self) -> str:
        """The section's first number."""
        return self.section.partition(".")[0]


# The tests that show each rule: rule id → test function → its cases, if it has any.
Shown = Mapping[str, Mapping[str, Sequence[str]]]


def load_rules() -> dict[str, Rule]:
    """All rules, by id, in the order of the file.

    Raises:
        ValueError: the file is not as its head says.
    """
    rules: dict[str, Rule] = {}
    for entry in tomllib.loads((FOLDER / "rules.toml").read_text())["rule"]:
        rule = Rule(**entry)
        if rule.id in rules or not _ID.fullmatch(rule.id):
            raise ValueError(f"{rule.id} is no id, or is there twice")
        if rule.kind not in KINDS:
            raise ValueError(f"rule {rule.id} is of no known kind")
        if (rule.kind == "outside") != (rule.reason is not None):
            raise ValueError(f"rule {rule.id} is outside, or has a reason, but not both")
        if rule.reason is not None and rule.uncovered is not None:
            raise ValueError(f"rule {rule.id} binds nobody, so nothing is to be covered")
        rules[rule.id] = rule
    if list(rules) != sorted(rules, key=_order):
        raise ValueError("the rules are not in the order of their ids")
    return rules


def _order(rule_id: str) -> tuple[list[int], int]:
    section, _, number = rule_id.partition("-")
    return [int(part) for part in section.split(".")], int(number)


def collect(folders: Iterable[str] = COLLECTED) -> dict[str, dict[str, list[str]]]:
    """The tests that show each rule, as pytest collects them.

    Raises:
        RuntimeError: they cannot be collected.
    """
    plugin = "tests.spec.rules_collector"
    command = [sys.executable, "-m", "pytest", "-p", plugin, "-p", "no:cacheprovider", "--collect-only", "-q"]
    done = subprocess.run([*command, *folders], cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("rules: ")]
    if done.returncode != 0 or len(lines) != 1:
        raise RuntimeError(f"the tests cannot be collected:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    collected: dict[str, dict[str, list[str]]] = json.loads(lines[0].removeprefix("rules: "))
    return collected


def faults(rules: Mapping[str, Rule], shown: Shown) -> list[str]:
    """What is wrong between rules and tests, in words; nothing, if all is well."""
    found = [f"{rule_id} is no rule, but a test names it" for rule_id in shown if rule_id not in rules]
    for rule in rules.values():
        if rule.reason is None and rule.uncovered is None and rule.id not in shown:
            found.append(f"{rule.id} has neither a test nor a reason for none")
        if rule.id in shown and (rule.uncovered or rule.reason):
            found.append(f"{rule.id} has a reason for no test, and a test")
    return found


def document(rules: Mapping[str, Rule], shown: Shown) -> str:
    """The text of docs/rules.md."""
    parts = [_head(rules), _summary(rules, shown), _not_shown(rules)]
    for chapter in dict.fromkeys(rule.chapter for rule in rules.values()):
        mine = [rule for rule in rules.values() if rule.chapter == chapter and rule.reason is None]
        if mine:
            parts.append(_table(chapter, mine, shown))
    return "\n".join(parts)


def _head(rules: Mapping[str, Rule]) -> str:
    kinds = "\n".join(f"* *{kind}*: {what}" for kind, what in KINDS.items())
    return f"""# The rules of RFC 9420

<!-- Written by `python -m tests.spec.rules_table` from tests/spec/rules.toml and the marks of the tests. -->

What RFC 9420 obliges a client to, in our own words: {len(rules)} rules, each with the section that it is from. A rule that stands
in several sections may be here several times. Beside each are the tests that would fail if it were broken: a test says so by
`@pytest.mark.rule("12.2-03")`. *Followers* are those who follow a group without its secrets.

{kinds}
"""


def _summary(rules: Mapping[str, Rule], shown: Shown) -> str:
    lines = [
        "## In numbers",
        "",
        "| section | rules | shown by tests | not shown | bind nobody here |",
        "|---|--:|--:|--:|--:|",
    ]
    totals = [0, 0, 0, 0]
    for chapter in dict.fromkeys(rule.chapter for rule in rules.values()):
        mine = [rule for rule in rules.values() if rule.chapter == chapter]
        counts = [
            len(mine),
            sum(rule.id in shown for rule in mine),
            sum(rule.uncovered is not None for rule in mine),
            sum(rule.reason is not None for rule in mine),
        ]
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        lines.append(f"| {chapter} {SECTION_NAMES[chapter]} | {' | '.join(map(str, counts))} |")
    lines.append(f"| **all** | {' | '.join(f'**{total}**' for total in totals)} |")
    return "\n".join([*lines, ""])


def _not_shown(rules: Mapping[str, Rule]) -> str:
    uncovered = [rule for rule in rules.values() if rule.uncovered is not None]
    outside = [rule for rule in rules.values() if rule.reason is not None]
    lines = ["## Not shown", "", "| | what is asked | why no test shows it |", "|---|---|---|"]
    lines += [f"| {rule.id} | {rule.asks} | {rule.uncovered} |" for rule in uncovered]
    lines += ["", "These bind nobody here:", "", "| | what is asked | why |", "|---|---|---|"]
    lines += [f"| {rule.id} | {rule.asks} | {rule.reason} |" for rule in outside]
    return "\n".join([*lines, ""])


def _table(chapter: str, rules: Sequence[Rule], shown: Shown) -> str:
    lines = [
        f"## {chapter} {SECTION_NAMES[chapter]}",
        "",
        "| | kind | what is asked | shown by |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {rule.id} | {rule.kind} | {rule.asks} | {_tests(shown.get(rule.id, {})) or '*nothing*'} |"
        for rule in rules
    ]
    return "\n".join([*lines, ""])


def _tests(tests: Mapping[str, Sequence[str]]) -> str:
    """Test functions by their files, each with its cases if they are few."""
    by_file: dict[str, list[str]] = {}
    for test, cases in sorted(tests.items()):
        file, _, function = test.partition("::")
        name = function.removeprefix("test_").replace("_", " ")
        if 0 < len(cases) <= FEW:
            name += f" ({'; '.join(cases)})"
        by_file.setdefault(file.removeprefix("tests/"), []).append(name.replace("|", "\\|"))
    return "; ".join(f"`{file}`: {', '.join(names)}" for file, names in by_file.items())


def main() -> None:
    """Write the document, and say what is wrong."""
    rules, shown = load_rules(), collect()
    wrong = faults(rules, shown)
    for fault in wrong:
        sys.stderr.write(fault + "\n")
    DOCUMENT.write_text(document(rules, shown))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
