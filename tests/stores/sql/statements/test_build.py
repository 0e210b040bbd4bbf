"""Tests that the SQL statements match the golden files, which a reviewer can read.

``UPDATE_GOLDEN=1 pytest tests/stores/sql/statements/test_build.py`` writes the files again.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from cbstore_sql.core.rules import OPERATIONS
from cbstore_sql.stores.sql.statements.build import Statements, statements_for

GOLDEN = Path(__file__).parent.parent / "golden"
DIALECTS = {"postgresql": "cbstore", "sqlite": None}


def texts(statements: Statements) -> dict[str, str]:
    named = {
        **statements.update,
        **{f"{name}.{form}": statement for (name, form), statement in statements.short.items()},
        **{f"{name}.upsert": statement for name, statement in statements.upsert.items()},
        "read": statements.read,
        "read_many": statements.read_many,
        "read_all": statements.read_all,
        "delete": statements.delete,
        "no_room": statements.no_room,
    }
    return {name: statement.text for name, statement in named.items()}


BREAKS = re.compile(
    r"\s+(?=(?:SET|WHERE|RETURNING|VALUES|ON CONFLICT|FROM \(|LEFT OUTER JOIN|ORDER BY|CASE|WHEN|ELSE|AND|OR)\b)"
    r"|(?<=,)\s+(?!CAST\(extract|\(\(julianday)"
)


def laid_out(text: str) -> str:
    """Break a statement into lines at its parentheses. Only white space changes."""
    lines, depth = [], 0
    for part in BREAKS.split(text):
        lines.append("  " * depth + part)
        opened = part.count("(") + len(re.findall(r"\bCASE\b", part))
        depth += opened - part.count(")") - len(re.findall(r"\bEND\b", part))
    return "\n".join(lines) + "\n"


CASES = [
    pytest.param(dialect, name, text, id=f"{dialect}-{name}")
    for dialect, schema in DIALECTS.items()
    for name, text in texts(statements_for(dialect, schema)).items()
]


@pytest.mark.parametrize(("dialect", "name", "text"), CASES)
def test_the_sql_matches_the_golden_file(dialect: str, name: str, text: str) -> None:
    path = GOLDEN / dialect / f"{name}.sql"
    formatted = laid_out(text)
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(formatted, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == formatted


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_golden_file_belongs_to_a_statement(dialect: str) -> None:
    known = set(texts(statements_for(dialect, DIALECTS[dialect])))
    assert {path.stem for path in (GOLDEN / dialect).glob("*.sql")} == known


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_conditions_use_only_columns_of_the_updated_row(dialect: str, operation: str) -> None:
    known = texts(statements_for(dialect, DIALECTS[dialect]))
    for text in (known[operation], known.get(f"{operation}.upsert", "")):
        assert not re.search(r"\b(SELECT|WITH|FROM|JOIN)\b", text.replace("extract(epoch FROM", "extract("))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_postgresql_reads_the_clock_when_the_row_is_reached(operation: str) -> None:
    text = statements_for("postgresql", "cbstore").update[operation].text
    assert "clock_timestamp()" in text
    assert not re.search(r"\b(now|statement_timestamp|transaction_timestamp)\(\)", text)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_update_writes_the_previous_state(dialect: str, operation: str) -> None:
    assert re.search(r"previous_state=\S*state\b", statements_for(dialect, DIALECTS[dialect]).update[operation].text)


def test_statements_are_compiled_once() -> None:
    assert statements_for("postgresql", "cbstore") is statements_for("postgresql", "cbstore")
    assert statements_for("postgresql", "other").read.text != statements_for("postgresql", "cbstore").read.text
