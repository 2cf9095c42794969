"""A pytest plugin that prints which rules the collected tests show, as JSON (`rules_table`)."""

from __future__ import annotations

import json

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Rule id → test function → its cases."""
    shown: dict[str, dict[str, list[str]]] = {}
    for item in session.items:
        function, bracket, case = item.nodeid.partition("[")
        for mark in item.iter_markers("rule"):
            for rule_id in mark.args:
                cases = shown.setdefault(rule_id, {}).setdefault(function, [])
                if bracket and case.removesuffix("]") not in cases:
                    cases.append(case.removesuffix("]"))
    print("rules: " + json.dumps(shown, sort_keys=True))
