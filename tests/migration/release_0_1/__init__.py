"""Processes of release 0.1: the statements and scripts that they send, as they were released.

`statements.json` and `scripts.json` are frozen texts of that release. Here they run on this release's connections, so
that one test can put old and new processes side by side.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cbstore_sql import AsyncSqlStore, AsyncStore, RedisStore, SqlStore, Store
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import ANSWER_COLUMNS, Row, Transition
from cbstore_sql.stores.decode import to_transition
from cbstore_sql.stores.sql.operations import QuerySteps, SqlOperations, Values
from cbstore_sql.stores.sql.statements.build import Statements
from cbstore_sql.stores.sql.statements.statement import FLOAT, INTEGER, TEXT, Statement

_KINDS = {"text": TEXT, "integer": INTEGER, "float": FLOAT}
_COLUMNS = 10
"""The columns of that release's answers, without the clock."""

_ADDED = tuple(getattr(Row(), column) for column in ANSWER_COLUMNS[_COLUMNS:])


def _frozen(name: str) -> Any:
    return json.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))


def _statement(saved: Mapping[str, Any]) -> Statement:
    given = [(name, _KINDS[kind]) for name, kind in saved["parameters"]]
    return Statement(saved["text"], given, [_KINDS[kind] for kind in saved["columns"]])


def _statements(dialect: str, own: Statements) -> Statements:
    saved = _frozen("statements.json")[dialect]
    return Statements(
        update={name: _statement(text) for name, text in saved["update"].items()},
        short={tuple(name.split(".", 1)): _statement(text) for name, text in saved["short"].items()},
        upsert={name: _statement(text) for name, text in saved["upsert"].items()},
        read=_statement(saved["read"]),
        read_many=own.read_many,
        read_all=own.read_all,
        history=own.history,
        delete=own.delete,
        no_room=own.no_room,
    )


class _Operations(SqlOperations):
    """The statements of that release. Missing columns of an answer get their defaults."""

    def __init__(self, own: SqlOperations, dialect: str) -> None:
        super().__init__(dialect, own.schema, own._namespace, own._max_breakers)
        self._statements = _statements(dialect, self._statements)

    def rows(self, *args: Any, **kwargs: Any) -> QuerySteps[list[Values]]:
        rows = yield from super().rows(*args, **kwargs)
        return [(*row[:-1], *_ADDED, row[-1]) if len(row) == _COLUMNS + 1 else row for row in rows]


def as_release_0_1(store: Store | AsyncStore) -> None:
    """Make a store send the statements of release 0.1."""
    assert isinstance(store, (SqlStore, AsyncSqlStore))
    store._queries = _Operations(store._queries, store._engine.dialect.name)


class RedisStore01(RedisStore):
    """A store that runs the scripts of release 0.1."""

    def _apply(self, command: Command) -> Transition | None:
        saved = _frozen("scripts.json")[command.operation]
        given = [_argument(command.parameters[name]) for name in saved["parameters"]]
        others = [_argument(value) for value in (self._operations._ttl, self._operations._probe_ttl, "adds")]
        answer = self._client.register_script(saved["script"])([self._operations.key(command.name)], [*given, *others])
        if answer is None:
            return None
        return to_transition(command.name, [*_read(answer[:-1]), *_ADDED, float(answer[-1])])


def _argument(value: str | float | None) -> bytes:
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else f"{value:.17g}".encode()


def _read(texts: list[bytes]) -> list[Any]:
    """Decode the columns of that release's answer, whose texts are percent-encoded."""
    kinds = [type(getattr(Row(), column)) for column in ANSWER_COLUMNS]
    return [unquote(text.decode()) if kind is str else kind(text) for kind, text in zip(kinds, texts, strict=False)]
