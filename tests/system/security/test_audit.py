"""Tests of the conclusions that ``make audit`` draws from the answers of pip-audit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from tests.system.security.audit import EXTRAS, audited, conclude, installed

VERSIONS = {"redis": "5.0.0", "rich": "13.7.0"}


def report(*packages: dict[str, Any]) -> dict[str, Any]:
    return {"dependencies": list(packages), "fixes": []}


def said(*packages: dict[str, Any]) -> tuple[int, str]:
    code, lines = conclude(VERSIONS, audited(report(*packages)))
    return code, "\n".join(lines)


CLEAN = {"name": "rich", "version": "13.7.0", "vulns": []}
VULNERABLE = {"name": "redis", "version": "5.0.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["5.0.1"]}]}
SKIPPED = {"name": "redis", "skip_reason": "Dependency not found on PyPI and could not be audited: redis (5.0.0)"}


def test_the_audit_fails_if_a_package_is_vulnerable() -> None:
    code, text = said(CLEAN, VULNERABLE)
    assert code == 1
    assert "VULNERABLE: redis 5.0.0: PYSEC-1" in text


def test_the_audit_succeeds_if_no_package_is_vulnerable() -> None:
    assert said(CLEAN, {**VULNERABLE, "vulns": []}) == (0, "2 of 2 packages audited, 0 vulnerable")


def test_a_package_without_an_answer_is_named_and_the_audit_succeeds() -> None:
    code, text = said(CLEAN, SKIPPED)
    assert code == 0
    assert "not audited, since nothing could be found out: redis" in text


def test_the_audit_says_that_it_could_not_get_any_advisories() -> None:
    for none in (said(SKIPPED, {**SKIPPED, "name": "rich"}), said()):
        assert none[0] == 0
        assert "NOT AUDITED" in none[1]


def test_the_audit_covers_every_package_of_the_extras() -> None:
    project = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    section = project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    assert set(EXTRAS) == set(re.findall(r"^(\w+) = \[", section, re.MULTILINE))
    found = installed(Requirement("sqlalchemy[asyncio]"))
    assert {"greenlet", "typing-extensions"} <= set(found)
