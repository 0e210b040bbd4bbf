"""The statement that reads one page of a list of breakers and the totals of the whole table."""

from __future__ import annotations

from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from cbstore_sql.core.model import ANSWER_COLUMNS, STATES
from cbstore_sql.core.severity import active_override, severity
from cbstore_sql.stores.sql.schema.functions import server_clock
from cbstore_sql.stores.sql.schema.table import make_table
from cbstore_sql.stores.sql.statements.answer import Answer
from cbstore_sql.stores.sql.statements.build import DIALECTS, compile_statement, given
from cbstore_sql.stores.sql.statements.statement import FLOAT, INTEGER, TEXT, Statement

TOTALS = (*STATES, "override")
"""The names of the totals (numbers of breakers), in the order of the columns in the answer."""

WITH_OVERRIDE = "override"
"""A value of the parameter ``state`` that selects the breakers with an override in force."""


class position(FunctionElement[int]):
    """An SQL expression for the first position, from 1, of a text in another text; 0 if the text does not occur.

    Args:
        text: An SQL expression for the text in which to search.
        part: An SQL expression for the text to find.
    """

    type = sa.Integer()
    inherit_cache = True
    name = "position"


@compiles(position, "postgresql")
def _position_postgresql(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return f"pg_catalog.strpos({compiler.process(element.clauses, **options)})"


@compiles(position, "sqlite")
def _position_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


class lower(FunctionElement[str]):
    """An SQL expression for a text in lower case. Whether letters beyond ASCII are converted depends on the database.

    Args:
        text: An SQL expression for the text.
    """

    type = sa.Text()
    inherit_cache = True
    name = "lower"


@compiles(lower, "postgresql")
def _lower_postgresql(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return f"pg_catalog.lower({compiler.process(element.clauses, **options)})"


@compiles(lower, "sqlite")
def _lower_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


def _when(condition: Any, a: Any, b: Any) -> Any:
    return sa.case((condition, a), else_=b)


@lru_cache(maxsize=64)
def overview_statement(dialect_name: str, schema: str | None, sort: str, limit: int, *, exact: bool) -> Statement:
    """Compile the statement that reads one page of a list of breakers, with totals of the whole table.

    The statement returns one row for each breaker of the page. A row has, in this order: the totals of the whole table
    (in the order of `TOTALS`), the clock, the number of breakers that match the filter, the namespace, the name, the
    columns of `ANSWER_COLUMNS`, the clock, and the history. If the page has no breaker, the statement returns one row
    in which only the totals, the number of breakers and the clock are not NULL.

    Args:
        dialect_name: ``"postgresql"`` or ``"sqlite"``.
        schema: The schema of the table, or ``None`` on SQLite.
        sort: ``"worst"`` (the most urgent first), ``"name"``, ``"failures"`` (the highest count first) or ``"changed"``
            (the most recent failure first).
        limit: The largest number of breakers on the page.
        exact: Whether the statement selects one breaker by the parameters ``namespace`` and ``name``. If ``False``, the
            parameters are ``names`` (the text to find), ``state``, and ``others`` (the number of breakers to skip).
    """
    dialect, _ = DIALECTS[dialect_name]
    table = make_table(schema)
    totals = _totals(table, exact=exact)
    page = _page(table, sort, limit, exact=exact)
    shown = (totals.c.matched, page.c.namespace, page.c.name, *(page.c[column] for column in ANSWER_COLUMNS))
    statement = (
        sa.select(
            *(totals.c[f"total_{name}"] for name in TOTALS), totals.c.clock, *shown, totals.c.clock, page.c.history
        )
        .select_from(totals.outerjoin(page, sa.true()))
        .order_by(*_order(page, sort))
    )
    kinds = (*(INTEGER for _ in TOTALS), FLOAT, INTEGER, TEXT, TEXT, *Answer.whole().columns, TEXT)
    return compile_statement(statement, dialect(), Answer(kinds))


def _totals(table: sa.Table, *, exact: bool) -> sa.Subquery:
    override = active_override(table.c, server_clock(), _when)
    conditions = {**{state: table.c.state == state for state in STATES}, WITH_OVERRIDE: override != ""}
    counts = [sa.func.count().filter(condition).label(f"total_{name}") for name, condition in conditions.items()]
    # This query counts separately from the page, so that the database need not sort the whole table for the page.
    shown = _exactly(table) if exact else _filter(table)
    matched = sa.func.count().filter(shown).label("matched")
    return sa.select(*counts, matched, server_clock().label("clock")).subquery("totals")


def _page(table: sa.Table, sort: str, limit: int, *, exact: bool) -> sa.Subquery:
    columns = (table.c[name] for name in ("namespace", "name", *ANSWER_COLUMNS, "history"))
    chosen = sa.select(*columns).where(_exactly(table) if exact else _filter(table))
    chosen = chosen.order_by(*_order(table, sort)).limit(sa.literal(limit))
    return (chosen if exact else chosen.offset(given("others"))).subquery("page")


def _order(table: sa.FromClause, sort: str) -> tuple[Any, ...]:
    name = (table.c.namespace, table.c.name)
    if sort == "name":
        return name
    if sort == "failures":
        return (table.c.failure_count.desc(), *name)
    if sort == "changed":
        return (table.c.last_failure_time.desc(), *name)
    worst = severity(SimpleNamespace(**dict(table.c)), server_clock(), _when)
    return (sa.desc(worst), table.c.failure_count.desc(), *name)


def _exactly(table: sa.Table) -> Any:
    return sa.and_(table.c.namespace == given("namespace"), table.c.name == given("name"))


def _filter(table: sa.Table) -> Any:
    text, state = given("names"), given("state")
    override = active_override(table.c, server_clock(), _when)
    found = sa.or_(*(position(lower(column), lower(text)) > 0 for column in (table.c.name, table.c.namespace)))
    wanted = sa.or_(state == "", table.c.state == state, sa.and_(state == WITH_OVERRIDE, override != ""))
    return sa.and_(sa.or_(text == "", found), wanted)
