"""The store's operations as statements, and the meaning of their answers: without any I/O."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from time import time
from typing import Any, TypeVar

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Row, Snapshot, Transition
from cbstore_sql.core.rules import ANY_STATE, BY_SCORE, UNFENCED
from cbstore_sql.core.validation import check_max_breakers
from cbstore_sql.errors import TooManyBreakersError, UnstorableNameError
from cbstore_sql.stores.sql.errors import raise_translated
from cbstore_sql.stores.sql.retry import Effect, RetryPolicy, StatementOutcome, classify_error
from cbstore_sql.stores.sql.schema.table import TABLE_NAME, check_identifier
from cbstore_sql.stores.sql.statements.build import statements_for
from cbstore_sql.stores.sql.statements.decode import to_snapshot, to_transition
from cbstore_sql.stores.sql.statements.partial_eval import specialization_for
from cbstore_sql.stores.sql.statements.statement import Statement

# A crash of the server may lose these without harm: a circuit opens one failure later, or closes one probe later.
_COUNTS = frozenset({"record_failure", "record_success", "increment_failure", "renew_probe"})

_SAFE = frozenset(
    {"claim_probe", "release_probe", "renew_probe", "force_open", "reset", "hold", "set_override", "clear_override"}
)

T = TypeVar("T")

Values = Sequence[Any]
"""One row as the driver returned it."""


@dataclass(slots=True)
class Query:
    """One statement that runs in its own transaction; its answer is the list of its rows.

    Attributes:
        statement: The statement.
        parameters: Its parameters by name.
        durable: Whether its effect must survive a crash of the server, whatever the store's durability.
        pause: Seconds to wait before it, without holding a connection.
        pinned: Whether to run it in a READ COMMITTED transaction, whatever the session's default; SQLite has only
            one level.
        begun: The work that the executor has begun already.
    """

    statement: Statement
    parameters: Mapping[str, Any]
    durable: bool = False
    pause: float = 0.0
    pinned: bool = False
    begun: Any = None


QuerySteps = Generator[Query, list[Values], T]


class SqlOperations:
    """The operations of one store as steps.

    Args:
        dialect: ``"postgresql"`` or ``"sqlite"``.
        schema: The table's schema; SQLite ignores it.
        namespace: The store's namespace.
        max_breakers: The most breakers the namespace may hold; see `SqlStore`.

    Raises:
        ConfigurationError: See `check_identifier` and `check_max_breakers`.
    """

    def __init__(self, dialect: str, schema: str, namespace: str, max_breakers: int | None) -> None:
        self.schema = check_identifier("schema", schema)
        self._max_breakers = check_max_breakers(max_breakers)
        self.dialect = dialect
        self.table_schema = None if dialect == "sqlite" else schema
        self._statements = statements_for(dialect, self.table_schema)
        self._place = f"table {TABLE_NAME}" if dialect == "sqlite" else f"table {schema}.{TABLE_NAME}"
        self._namespace = namespace

    def for_namespace(self, namespace: str) -> SqlOperations:
        """Return the operations on the same table for the breakers of another namespace."""
        return SqlOperations(self.dialect, self.schema, namespace, self._max_breakers)

    def read(self, name: str, now: float | None) -> QuerySteps[Snapshot]:
        """Read one breaker."""
        given = {"namespace": self._namespace, "name": name, "now": now}
        try:
            rows = yield from self.rows(self._statements.read, given, Effect.READ_ONLY)
        except UnstorableNameError:
            # Nothing can have written such a row.
            return Snapshot.of(name, Row(), time() if now is None else now)
        return to_snapshot(name, rows[0])

    def read_many(self, names: list[str], now: float | None) -> QuerySteps[dict[str, Snapshot]]:
        """Read several breakers in one statement."""
        given = {"namespace": self._namespace, "names": json.dumps(names, ensure_ascii=False), "now": now}
        try:
            rows = yield from self.rows(self._statements.read_many, given, Effect.READ_ONLY)
        except UnstorableNameError:
            # One of them is; the others can be read.
            snapshots = {}
            for name in names:
                snapshots[name] = yield from self.read(name, now)
            return snapshots
        unwritten = (None, rows[0][-1])
        found = {name: values for name, *values in rows}
        return {name: to_snapshot(name, found.get(name, unwritten)) for name in names}

    def read_all(self) -> QuerySteps[list[tuple[str, Snapshot]]]:
        """Read every breaker of every namespace."""
        rows = yield from self.rows(self._statements.read_all, {"now": None}, Effect.READ_ONLY)
        return [(namespace, to_snapshot(name, values)) for namespace, name, *values in rows]

    def history(self, name: str) -> QuerySteps[str]:
        """Read the text of one breaker's history."""
        given = {"namespace": self._namespace, "name": name}
        rows = yield from self.rows(self._statements.history, given, Effect.READ_ONLY)
        return str(rows[0][0]) if rows else ""

    def apply(self, command: Command) -> QuerySteps[Transition | None]:
        """Update the breaker; create it if it has no row and the command would change it."""
        given = {**command.parameters, "namespace": self._namespace, "name": command.name}
        effect = repeated(command)
        durable = command.operation not in _COUNTS
        rows = yield from self.rows(self._update(command), given, effect, durable=durable)
        upsert = self._statements.upsert.get(command.operation)
        if not rows and command.creates and upsert is not None and command.apply_to(Row(), 0.0) is not None:
            yield from self._refuse_when_full(command.name, durable=durable)
            rows = yield from self.rows(upsert, given, effect, durable=durable)
        return to_transition(command.name, rows[0]) if rows else None

    def _update(self, command: Command) -> Statement:
        short = self._statements.short.get(
            (command.operation, specialization_for(command.operation, command.parameters))
        )
        return short or self._statements.update[command.operation]

    def delete(self, name: str) -> QuerySteps[None]:
        """Delete one breaker."""
        given = {"namespace": self._namespace, "name": name}
        yield from self.rows(self._statements.delete, given, Effect.IDEMPOTENT, durable=True)

    def _refuse_when_full(self, name: str, *, durable: bool) -> QuerySteps[None]:
        """Raise if a breaker is missing and the namespace is full; writers at the same moment may each add one more."""
        if self._max_breakers is None:
            return
        given = {"namespace": self._namespace, "name": name, "others": self._max_breakers - 1}
        if (yield from self.rows(self._statements.no_room, given, Effect.READ_ONLY, durable=durable)):
            raise TooManyBreakersError(self._namespace, self._max_breakers)

    def rows(
        self, statement: Statement, parameters: Mapping[str, Any], effect: Effect, *, durable: bool = False
    ) -> QuerySteps[Sequence[Values]]:
        """Run a statement; repeat it while that can help and counts nothing twice; see `RetryPolicy`.

        A concurrent writer makes a statement fail only if the session's default isolation is stricter than READ
        COMMITTED. A pinned statement waits for the other writer instead, for the price of two more round trips.
        """
        query = Query(statement, parameters, durable)
        patience = None
        lost = False
        while True:
            try:
                return statement.completed((yield query))
            except Exception as error:  # noqa: BLE001 - raised again, drivers' errors as ours
                patience = patience or RetryPolicy(effect)
                verdict = classify_error(error)
                lost = lost or verdict is StatementOutcome.UNKNOWN
                pause = patience.pause_after(verdict)
                if pause is None:
                    raise_translated(error, self._place, effect, lost=lost)
            query = Query(
                statement, parameters, durable, pause, pinned=query.pinned or verdict is StatementOutcome.CONFLICT
            )


def repeated(command: Command) -> Effect:
    """Return what a repetition of a command does if the first one was applied and its answer was lost.

    A second claim with the same token changes nothing. A probe's report works once: it begins a new generation, which
    makes the permit stale. Opening, resetting, locking or overwriting twice has the effect of doing it once.
    """
    given = command.parameters
    if command.operation in _SAFE:
        return Effect.IDEMPOTENT
    if command.operation == "record_success":
        # A second success lowers the score again; by name, it may also count as a second probe.
        lowers = given["test"] == BY_SCORE and given["token"] == ""
        counts = given["generation"] == UNFENCED and given["success_threshold"] > 1
        return Effect.NOT_IDEMPOTENT if lowers or counts else Effect.IDEMPOTENT
    if command.operation == "replace_state" and given["expected"] == ANY_STATE:
        return Effect.IDEMPOTENT
    return Effect.NOT_IDEMPOTENT
