"""Mutants of the SQL statements and of their clock."""

from __future__ import annotations

from tests.system.mutation.selections import CLOCK, GOLDEN, HASHES, MEMORY, RACES, REDIS, STORES, UPSERT
from tests.system.mutation.text import Broken, Text

_STATEMENTS = "stores/sql/statements/build.py"
_FUNCTIONS = "stores/sql/schema/functions.py"
_ANSWER = "stores/redis/lua/_answer.lua"
_HASH = "stores/redis/lua/_hash.lua"
_IN_NAMESPACE = 'table.c.namespace == given("namespace")'
_CHANGE = "    change = _change(operation, before, now, form)\n"
_DEMANDED = "    demanded = (table.c[name] == value for name, value in form.row.items())\n"
_WHERE = "    where = (*_key(table), *demanded, *_where(change))\n"
_AMONG = 'is_among(table.c.name, given("names"))'
_GIVEN_OR_SERVERS = 'sa.func.coalesce(given("now"), server_clock())'

_SQL = (
    ("the namespace is no part of the key", f"return {_IN_NAMESPACE}", "return sa.true()"),
    ("the name is no part of the key", ', table.c.name == given("name")', ", sa.true()"),
    ("many are read from every namespace", f"sa.and_({_IN_NAMESPACE}, ", "sa.and_("),
    ("what others have fills a namespace", f".where({_IN_NAMESPACE}, missing)", ".where(missing)"),
    ("a full namespace refuses its own breakers", f".where({_IN_NAMESPACE}, missing)", f".where({_IN_NAMESPACE})"),
    ("a breaker of another namespace is there", 'itself.c.namespace == given("namespace"), ', ""),
    ("any breaker of the namespace is there", ', itself.c.name == given("name"))', ")"),
    ("an update without the rule's condition", _WHERE, "    where = (*_key(table), *demanded)\n"),
    ("an update without the key", _WHERE, "    where = (*demanded, *_where(change))\n"),
    ("a deletion without the key", "sa.delete(table).where(*_key(table))", "sa.delete(table)"),
    ("an upsert without the rule's condition", "set_=dict(change.values), where=where", "set_=dict(change.values)"),
    (
        "an upsert that overwrites with what a new row gets",
        "set_=dict(change.values)",
        "set_={name: made.excluded[name] for name in change.values}",
    ),
    (
        "the row is read without the clock",
        "select_from(_one_row().outerjoin(table, sa.and_(*_key(table))))",
        "select_from(table).where(*_key(table))",
    ),
)

_CONCURRENT = (
    (
        "the row is read through a common table expression",
        _CHANGE + _DEMANDED + _WHERE,
        '    seen = sa.select(table).where(*_key(table)).cte("seen")\n'
        "    change = _change(operation, {**dict(seen.c), **form.row, **form.implied}, now, form)\n"
        "    demanded = (seen.c[name] == value for name, value in form.row.items())\n"
        "    where = (*_key(table), seen.c.name == table.c.name, *demanded, *_where(change))\n",
    ),
    (
        "the state is read through a sub-select",
        _CHANGE,
        '    seen = table.alias("seen")\n'
        "    state = sa.select(seen.c.state).where(*_key(seen)).scalar_subquery()\n"
        "    change = _change(operation, {**before, 'state': state}, now, form)\n",
    ),
    (
        "the generation is read through a sub-select",
        _CHANGE,
        '    seen = table.alias("seen")\n'
        "    generation = sa.select(seen.c.generation).where(*_key(seen)).scalar_subquery()\n"
        "    change = _change(operation, {**before, 'generation': generation}, now, form)\n",
    ),
)

_CLOCKS: tuple[Broken, ...] = (
    ("the time the transaction began", _FUNCTIONS, "clock_timestamp())", "now())", (CLOCK,)),
    ("the time the statement began", _FUNCTIONS, "clock_timestamp())", "statement_timestamp())", (CLOCK,)),
    ("SQLite's, a day late", _FUNCTIONS, "2440587.5", "2440588.5", (STORES, CLOCK)),
    ("SQLite's, local time", _FUNCTIONS, "julianday('now')", "julianday('now', '+1 hour')", (STORES, CLOCK)),
    ("SQL: a given time does not count", _STATEMENTS, _GIVEN_OR_SERVERS, "server_clock()", (STORES,)),
    ("SQL: the server's does not count", _STATEMENTS, _GIVEN_OR_SERVERS, 'given("now")', (STORES,)),
    (
        "SQL: an answer's is not the operation's",
        _STATEMENTS,
        'now.label("as_of")',
        'server_clock().label("as_of")',
        (STORES,),
    ),
    ("SQL: a rule's is not the answer's", _STATEMENTS, "Value(now)", "Value(server_clock())", (STORES,)),
    (
        "memory: a given time does not count",
        "core/commands.py",
        "given.now = self.clock(now)",
        "given.now = now",
        (MEMORY,),
    ),
    ("memory: an answer's is not the operation's", "stores/memory.py", "command.clock(now))", "now)", (MEMORY,)),
    (
        "memory: a given time of a read does not count",
        "stores/memory.py",
        "self._clock() if now is None else now",
        "self._clock()",
        (MEMORY,),
    ),
    (
        "Redis: without its microseconds",
        _ANSWER,
        ' .. "." .. string.sub("00000" .. time[2], -6)',
        "",
        (HASHES, REDIS),
    ),
    ("Redis: microseconds lose their zeros", _ANSWER, '"00000" .. ', "", (HASHES, REDIS)),
    ("Redis: a given time does not count", _HASH, "    if now then\n", "    if false then\n", (HASHES, REDIS)),
    (
        "Redis: an answer's is not the operation's",
        _HASH,
        "answer(found, now_written, is_known)",
        "answer(found, select(2, clock()), is_known)",
        (HASHES, REDIS),
    ),
)


TEXTS = (
    *(Text(f"SQL: {name}", _STATEMENTS, old, new, (STORES, UPSERT)) for name, old, new in _SQL),
    *(Text(f"SQL: {name}", _STATEMENTS, old, new, (RACES,)) for name, old, new in _CONCURRENT),
    # Rows of the same generation have the same state.
    Text("SQL: a form without its state", _STATEMENTS, "*demanded, ", "", (GOLDEN,)),
    Text("SQL: a column that stays is set", _STATEMENTS, " if not _same(value, before[name])", "", (GOLDEN,)),
    Text(
        "SQL: a constant of the answer is another one's",
        "stores/sql/statements/answer.py",
        "tuple(constants.values())",
        "tuple(reversed(constants.values()))",
        (STORES, UPSERT),
    ),
    # Unused columns are dropped, so only the text of the statement shows the mutant.
    Text("SQL: many are read whatever their names", _STATEMENTS, _AMONG, "sa.true()", (GOLDEN,)),
    *(Text(f"clock: {name}", path, old, new, tests) for name, path, old, new, tests in _CLOCKS),
)
