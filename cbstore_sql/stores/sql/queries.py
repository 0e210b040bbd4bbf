"""What the store's operations ask of the table, and what they make of the answers: without any I/O."""

from __future__ import annotations

import json
import random
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from cbstore_sql.commands import Command
from cbstore_sql.machine import step
from cbstore_sql.model import Row, Snapshot, Transition
from cbstore_sql.stores.sql.decode import to_snapshot, to_transition
from cbstore_sql.stores.sql.errors import is_conflict, raise_translated
from cbstore_sql.stores.sql.statements import statements_for
from cbstore_sql.stores.sql.table import TABLE_NAME, check_identifier

_CONFLICT_ATTEMPTS = 20
_CONFLICT_PAUSE = 0.002

# After a crash of the server these may be lost without harm: a circuit opens a failure later, or closes a probe later.
_COUNTS = frozenset({"record_failure", "record_success", "increment_failure", "renew_probe"})

T = TypeVar("T")

Values = tuple[Any, ...]
"""One row as the driver gave it."""


@dataclass(slots=True)
class Query:
    """One statement to be carried out in a transaction of its own; its answer is the list of its rows.

    Attributes:
        statement: With named parameters.
        parameters: By name.
        pause: Seconds to wait before it, without holding a connection.
        durable: Whether its effect must outlive a crash of the server, whatever the store's durability.
        pinned: Whether to carry it out in a READ COMMITTED transaction, whatever the session's default; SQLite has
            but one level.
    """

    statement: str
    parameters: Mapping[str, Any]
    pause: float = 0.0
    durable: bool = False
    pinned: bool = False


Steps = Generator[Query, list[Values], T]


class Queries:
    """The operations of one store as steps.

    Args:
        dialect: ``"postgresql"`` or ``"sqlite"``.
        schema: The schema the table stands in; SQLite ignores it.
        namespace: Whose breakers.

    Raises:
        ConfigurationError: See `check_identifier`.
    """

    def __init__(self, dialect: str, schema: str, namespace: str) -> None:
        self.schema = check_identifier("schema", schema)
        self._statements = statements_for(dialect, None if dialect == "sqlite" else schema)
        self._place = f"table {TABLE_NAME}" if dialect == "sqlite" else f"table {schema}.{TABLE_NAME}"
        self._namespace = namespace
        self._dialect = dialect

    def read(self, name: str, now: float | None) -> Steps[Snapshot]:
        """Read one breaker."""
        rows = yield from self._rows(self._statements.read, {**self._key(name), "now": now})
        return to_snapshot(name, rows[0])

    def read_many(self, names: list[str], now: float | None) -> Steps[dict[str, Snapshot]]:
        """Read several breakers in one statement."""
        among = names if self._dialect == "postgresql" else json.dumps(names)
        given = {"namespace": self._namespace, "names": among, "now": now}
        rows = yield from self._rows(self._statements.read_many, given)
        unwritten = (None, rows[0][-1])
        found = {name: values for name, *values in rows}
        return {name: to_snapshot(name, found.get(name, unwritten)) for name in names}

    def read_all(self) -> Steps[list[tuple[str, Snapshot]]]:
        """Read every breaker of every namespace."""
        rows = yield from self._rows(self._statements.read_all, {"now": None})
        return [(namespace, to_snapshot(name, values)) for namespace, name, *values in rows]

    def apply(self, command: Command) -> Steps[Transition | None]:
        """Update the breaker; one that was never written is made, if the command would change it."""
        given = {**command.given, **self._key(command.name)}
        durable = command.operation not in _COUNTS
        rows = yield from self._rows(self._statements.update[command.operation], given, durable=durable)
        upsert = self._statements.upsert.get(command.operation)
        if not rows and upsert is not None and step(Row(), command, 0.0) is not None:
            rows = yield from self._rows(upsert, given, durable=durable)
        return to_transition(command.name, rows[0]) if rows else None

    def delete(self, name: str) -> Steps[None]:
        """Forget one breaker."""
        yield from self._rows(self._statements.delete, self._key(name), durable=True)

    def _key(self, name: str) -> dict[str, str]:
        return {"namespace": self._namespace, "name": name}

    def _rows(self, statement: str, parameters: Mapping[str, Any], *, durable: bool = False) -> Steps[list[Values]]:
        """Ask once, and again each time a concurrent writer made the statement fail with nothing applied.

        On PostgreSQL that happens only where the session's default is stricter than READ COMMITTED; under that, a
        statement waits for the other writer instead, at the price of two more round trips.
        """
        pause = 0.0
        for attempt in range(1, _CONFLICT_ATTEMPTS + 1):
            try:
                return (yield Query(statement, parameters, pause, durable, pinned=attempt > 1))
            except Exception as error:  # noqa: BLE001 - it is raised again, as one of ours if it is a driver's
                if not is_conflict(error) or attempt == _CONFLICT_ATTEMPTS:
                    raise_translated(error, self._place)
            pause = _CONFLICT_PAUSE * attempt * random.random()
        raise AssertionError("the last attempt returns or raises")
