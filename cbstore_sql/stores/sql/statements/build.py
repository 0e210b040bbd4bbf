"""The SQL statements, built from the rules: one for each operation, compiled once for a dialect and a schema.

An operation is ``UPDATE … SET <the rule's values> WHERE <key> AND <the rule's condition> RETURNING …``. Conditions
and values use only columns of the updated row. A sub-select or a common table expression would read the state from the
start of the statement, and two callers could win the same probe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Dialect

from cbstore_sql.core.model import ANSWER_COLUMNS, Row
from cbstore_sql.core.rules import OPERATIONS, Change, Operation
from cbstore_sql.stores.sql.schema.functions import is_among, server_clock
from cbstore_sql.stores.sql.schema.table import make_table
from cbstore_sql.stores.sql.statements.answer import Answer
from cbstore_sql.stores.sql.statements.partial_eval import (
    GENERAL,
    SPECIALIZATIONS,
    Specialization,
    Value,
    append,
    choose,
    plain,
)
from cbstore_sql.stores.sql.statements.statement import FLOAT, INTEGER, TEXT, Statement, WireType

_TEXTS = ("token", "expected", "state", "namespace", "name", "names", "mode", "by", "reason", "label", "test")
_INTEGERS = ("generation", "failures", "successes", "failure_count", "failure_threshold", "trips_alone")
_FLOATS = ("now", "lease", "seconds", "last_failure_time", "open_until", "stretch", "evidence", "relief", "enough")

_KINDS = {
    **dict.fromkeys(_TEXTS, TEXT),
    **dict.fromkeys((*_INTEGERS, "success_threshold", "probe", "others"), INTEGER),
    **dict.fromkeys((*_FLOATS, "recovery_timeout", "recovery_timeout_cap", "backoff_multiplier"), FLOAT),
}

_TYPES: dict[WireType, sa.types.TypeEngine[Any]] = {TEXT: sa.Text(), INTEGER: sa.BigInteger(), FLOAT: sa.Double()}

# In SQLAlchemy, a parameter of an UPDATE may not have the name of a column. So each parameter has this prefix until
# `compile_statement` removes the prefix from the SQL text.
_PREFIX = "given_"


@dataclass(frozen=True, slots=True)
class Statements:
    """A collection of the compiled statements for one dialect and schema.

    Attributes:
        update: For each operation, a statement that changes the row if the rule's condition is true, and then returns
            the row.
        short: For each pair of an operation and a special case, a shorter ``update`` for the commands to which the case
            applies; see `SPECIALIZATIONS`.
        upsert: For each operation that can create a row, an ``update`` that first creates a missing row from the
            default values.
        read: A statement that reads one breaker. The statement always returns one row. If the breaker has no row, all
            columns but the clock are NULL.
        read_many: A statement that reads several breakers of one namespace, and returns the name before the other
            columns. If none of the breakers has a row, the statement returns one row in which all columns but the clock
            are NULL.
        read_all: A statement that reads every breaker of every namespace, ordered by namespace and name.
        history: A statement that reads the history of one breaker. The statement returns no row if the breaker has no
            row.
        delete: A statement that deletes one breaker.
        no_room: A statement that returns one row if the breaker has no row and the namespace has more breakers than the
            parameter ``others``; otherwise no row.
    """

    update: Mapping[str, Statement]
    short: Mapping[tuple[str, str | None], Statement]
    upsert: Mapping[str, Statement]
    read: Statement
    read_many: Statement
    read_all: Statement
    history: Statement
    delete: Statement
    no_room: Statement


@lru_cache(maxsize=64)
def statements_for(dialect_name: str, schema: str | None) -> Statements:
    """Compile all statements of a store for a dialect and a schema. A repeated call returns the same object.

    Args:
        dialect_name: ``"postgresql"`` or ``"sqlite"``.
        schema: The schema of the table, or ``None`` on SQLite.
    """
    dialect, insert = DIALECTS[dialect_name]
    table = make_table(schema)

    def finished(statement: sa.ClauseElement, answer: Answer) -> Statement:
        return compile_statement(statement, dialect(), answer)

    def update(name: str, form: Specialization = GENERAL) -> Statement:
        return finished(*_update(table, OPERATIONS[name], form))

    whole = Answer.whole()
    return Statements(
        update={name: update(name) for name in OPERATIONS},
        short={
            (name, form): update(name, specialization)
            for name, specializations in SPECIALIZATIONS.items()
            for form, specialization in specializations.items()
        },
        upsert={
            name: finished(_upsert(table, OPERATIONS[name], insert), whole)
            for name in OPERATIONS
            if OPERATIONS[name].creates
        },
        read=finished(_read(table), whole),
        read_many=finished(_read_many(table), whole.after(TEXT)),
        read_all=finished(_read_all(table), whole.after(TEXT, TEXT)),
        history=finished(sa.select(table.c.history).where(*_key(table)), Answer((TEXT,))),
        delete=finished(sa.delete(table).where(*_key(table)), Answer()),
        no_room=finished(_no_room(table), Answer((TEXT,))),
    )


def _update(table: sa.Table, operation: Operation, form: Specialization) -> tuple[sa.ClauseElement, Answer]:
    """Return an UPDATE and the description of the returned columns. Columns with a constant new value are not returned.

    Args:
        table: The breaker table.
        operation: The operation that the UPDATE carries out.
        form: What is known about the parameters and the row; see `Specialization`.
    """
    now = _now()
    before = {**dict(table.c), **form.row, **form.implied}
    change = _change(operation, before, now, form)
    demanded = (table.c[name] == value for name, value in form.row.items())
    where = (*_key(table), *demanded, *_where(change))
    values = {**before, **change.values}
    constants = {name: values[name] for name in ANSWER_COLUMNS if not isinstance(values[name], sa.ClauseElement)}
    # If the UPDATE sets a column to the clock, the statement does not return the clock as a separate column.
    moment = next((name for name in ANSWER_COLUMNS if values[name] is now), None)
    columns = [table.c[name] for name in ANSWER_COLUMNS if name not in constants]
    returned = columns if moment else [*columns, now.label("as_of")]
    statement = sa.update(table).where(*where).values(**_changed(change.values, before)).returning(*returned)
    return statement, Answer.without(constants, moment)


def _upsert(table: sa.Table, operation: Operation, insert: Any) -> sa.ClauseElement:
    defaults = {name: sa.literal(default) for name, default in Row._field_defaults.items()}
    now = _now()
    made = insert(table).values(
        namespace=given("namespace"), name=given("name"), **_change(operation, defaults, now).values
    )
    change = _change(operation, dict(table.c), now)
    where = None if change.where is True else change.where
    key = [table.c.namespace, table.c.name]
    written = made.on_conflict_do_update(index_elements=key, set_=dict(change.values), where=where)
    return cast("sa.ClauseElement", written.returning(*_result(table)))


def _read(table: sa.Table) -> sa.ClauseElement:
    # The outer join to a constant row returns the clock even if the breaker has no row.
    return sa.select(*_result(table)).select_from(_one_row().outerjoin(table, sa.and_(*_key(table))))


def _read_many(table: sa.Table) -> sa.ClauseElement:
    among = sa.and_(table.c.namespace == given("namespace"), is_among(table.c.name, given("names")))
    return sa.select(table.c.name, *_result(table)).select_from(_one_row().outerjoin(table, among))


def _one_row() -> sa.Subquery:
    return sa.select(sa.literal(1).label("one")).subquery("key")


def _read_all(table: sa.Table) -> sa.ClauseElement:
    return sa.select(table.c.namespace, table.c.name, *_result(table)).order_by(table.c.namespace, table.c.name)


def _no_room(table: sa.Table) -> sa.ClauseElement:
    itself = table.alias("itself")
    missing = ~sa.exists().where(itself.c.namespace == given("namespace"), itself.c.name == given("name"))
    others = sa.select(table.c.namespace).where(table.c.namespace == given("namespace"), missing)
    return others.limit(1).offset(given("others"))


def _change(operation: Operation, row: Mapping[str, Any], now: Any, form: Specialization = GENERAL) -> Change:
    terms = {name: Value(value) for name, value in row.items()}
    parameters = {name: _term(name, form) for name in operation.parameters} | {"now": Value(now)}
    change = operation(SimpleNamespace(**terms), SimpleNamespace(**parameters), choose, append)
    return Change({name: plain(value) for name, value in change.values.items()}, plain(change.where))


def _term(name: str, form: Specialization) -> Value:
    return Value(form.fixed[name]) if name in form.fixed else Value(given(name), form.excluded.get(name))


def _changed(values: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values that differ from the values before. Two SQL expressions are equal only if they are one object.

    Args:
        values: The new values, by column.
        before: The previous values, by column.
    """
    return {name: value for name, value in values.items() if not _same(value, before[name])}


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, sa.ClauseElement) or isinstance(b, sa.ClauseElement):
        return a is b
    return bool(a == b)


def _where(change: Change) -> tuple[Any, ...]:
    return () if change.where is True else (change.where,)


def _key(table: sa.Table) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return table.c.namespace == given("namespace"), table.c.name == given("name")


def _result(table: sa.Table) -> tuple[sa.ColumnElement[Any], ...]:
    return (*(table.c[name] for name in ANSWER_COLUMNS), _now().label("as_of"))


def given(name: str) -> sa.BindParameter[Any]:
    """Return an SQL parameter whose value is passed at each execution of a statement.

    Args:
        name: The name of the parameter.
    """
    return sa.bindparam(_PREFIX + name, type_=_TYPES[_KINDS[name]])


def _now() -> sa.ColumnElement[float]:
    # COALESCE is syntax, not a function that a search_path could replace.
    return sa.func.coalesce(given("now"), server_clock())


def compile_statement(statement: sa.ClauseElement, dialect: Dialect, answer: Answer) -> Statement:
    """Compile an SQLAlchemy statement to SQL text with constants written into the text.

    Args:
        statement: The SQLAlchemy statement, whose parameters come from `given`.
        dialect: The dialect. This function changes the object, so pass a new one.
        answer: The columns that the statement returns.
    """
    dialect.statement_compiler = _inlining(dialect.statement_compiler)
    compiled: Any = statement.compile(dialect=dialect)
    names = [name.removeprefix(_PREFIX) for name in compiled.positiontup or ()]
    parameters = [(name, _KINDS[name]) for name in names]
    text = str(compiled).replace(_PREFIX, "")
    return Statement(text, parameters, answer.columns, answer.completion(has_exact_types=dialect.name == "postgresql"))


def _inlining(compiler: type[Any]) -> type[Any]:
    """Return a compiler that writes constants into the SQL text and keeps only the parameters of `given`.

    Args:
        compiler: The compiler class of the dialect.
    """

    class Inlining(compiler):  # type: ignore[misc] # the base is chosen by the dialect
        def visit_bindparam(self, bindparam: sa.BindParameter[Any], **options: Any) -> str:
            if not bindparam.key.startswith(_PREFIX):
                options["literal_binds"] = True
            return str(super().visit_bindparam(bindparam, **options))

    return Inlining


DIALECTS: Mapping[str, tuple[Any, Any]] = {
    "postgresql": (partial(PGDialect, paramstyle="numeric_dollar"), postgresql.insert),
    "sqlite": (lambda: SQLiteDialect_pysqlite(paramstyle="named"), sqlite.insert),
}
