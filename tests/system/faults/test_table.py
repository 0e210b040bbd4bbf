"""The table in the docs matches the stored run and names the tests that cause the faults."""

from __future__ import annotations

import ast

import pytest

from tests.system.faults import report
from tests.system.faults.elsewhere import ELSEWHERE

ALL = set(range(1, 34))


def test_a_test_makes_every_fault_of_the_list() -> None:
    made = {row.number for row in report.read().rows} | {fault.number for fault in ELSEWHERE}
    assert made == ALL


def test_the_rows_of_the_report_and_the_tests_match() -> None:
    assert {report.without_parameters(row.test) for row in report.read().rows} == report.scenarios()


@pytest.mark.parametrize("test", [test for fault in ELSEWHERE for test in fault.tests])
def test_the_tests_of_other_suites_exist(test: str) -> None:
    file, _, name = test.partition("::")
    tree = ast.parse((report.ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_page_shows_the_stored_run() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    assert report.with_table(page, report.read()) == page


def test_no_call_and_no_answer_was_lost_under_guarded_calls() -> None:
    guarded = [row for row in report.read().rows if row.answers_lost is not None]
    assert len(guarded) > 10
    assert {(row.calls_lost, row.answers_lost, row.counts_doubled) for row in guarded} == {(0, 0, 0)}
