"""The operations of an SQL store, as generators that yield SQL statements. They do no I/O themselves."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import time
from typing import Any, TypeVar

from cbstore_sql.core.commands import Command, record_success
from cbstore_sql.core.model import Permit, Row, Snapshot, Transition
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.core.rules import ANY_STATE, BY_SCORE, UNFENCED
from cbstore_sql.core.validation import check_max_breakers
from cbstore_sql.errors import TooManyBreakersError, UnstorableNameError
from cbstore_sql.stores.decode import to_snapshot, to_transition
from cbstore_sql.stores.sql.errors import raise_translated
from cbstore_sql.stores.sql.retry import Effect, RetryPolicy, StatementOutcome, classify_error
from cbstore_sql.stores.sql.schema.table import TABLE_NAME, check_identifier
from cbstore_sql.stores.sql.statements.build import statements_for
from cbstore_sql.stores.sql.statements.partial_eval import specialization_for
from cbstore_sql.stores.sql.statements.statement import Statement

# A crash of the server may lose the effect of these operations without harm: a circuit opens one failure later, or
# closes one probe later.
_COUNTS = frozenset({"record_failure", "record_success", "increment_failure", "renew_probe"})

_SAFE = frozenset(
    {"claim_probe", "release_probe", "renew_probe", "force_open", "reset", "hold", "set_override", "clear_override"}
)

MOST_KEPT = 1024
"""The largest number of breakers for which a store keeps the statement of the last success."""

T = TypeVar("T")

Values = Sequence[Any]
"""One row as the driver returned it."""


@dataclass(slots=True)
class Query:
    """A request to execute one SQL statement in its own transaction. The store executes it and answers with the rows.

    Attributes:
        statement: The statement.
        parameters: The parameters of the statement, by name.
        durable: Whether the effect of the statement must survive a crash of the server, even if the durability of the
            store is ``"relaxed"``.
        pause: Seconds to wait before the statement. The store holds no connection during the wait.
        pinned: Whether to run the statement in a READ COMMITTED transaction, even if the session's default isolation
            level is another one. SQLite has only one isolation level and ignores this attribute.
        reads: Whether the statement only reads.
        packed: The parameters in PostgreSQL's binary format, if they were packed before; otherwise ``None``.
        begun: The statement if an `AsyncStickyPool` has sent it already (see `Begun`); ``None`` if it was not sent yet.
    """

    statement: Statement
    parameters: Mapping[str, Any]
    durable: bool = False
    pause: float = 0.0
    pinned: bool = False
    reads: bool = False
    packed: list[bytes | None] | None = None
    begun: Any = None


QuerySteps = Generator[Query, list[Values], T]


class SqlOperations:
    """The operations of an SQL store. Each method is a generator that yields `Query` objects and returns the answer.

    The synchronous and the asynchronous store share this class; they execute the queries.

    Args:
        dialect: ``"postgresql"`` or ``"sqlite"``.
        schema: The PostgreSQL schema of the table. It has no effect on SQLite.
        namespace: The namespace of the store.
        max_breakers: The largest number of breakers in the namespace, at least 1; ``None`` means no limit.

    Raises:
        ConfigurationError: The schema is not a plain name, or ``max_breakers`` is out of range.
    """

    def __init__(self, dialect: str, schema: str, namespace: str, max_breakers: int | None) -> None:
        self.schema = check_identifier("schema", schema)
        self._max_breakers = check_max_breakers(max_breakers)
        self.dialect = dialect
        self.table_schema = None if dialect == "sqlite" else schema
        self._statements = statements_for(dialect, self.table_schema)
        self._place = f"table {TABLE_NAME}" if dialect == "sqlite" else f"table {schema}.{TABLE_NAME}"
        self._namespace = namespace
        self._successes: dict[str, tuple[Permit, BreakerPolicy, Query]] = {}

    def for_namespace(self, namespace: str) -> SqlOperations:
        """Make the operations for another namespace in the same table, with the same limit of breakers.

        Args:
            namespace: The other namespace.
        """
        return SqlOperations(self.dialect, self.schema, namespace, self._max_breakers)

    def read(self, name: str, now: float | None) -> QuerySteps[Snapshot]:
        """Read one breaker.

        Args:
            name: The name of the breaker.
            now: The moment that the snapshot gives as ``as_of``, Unix seconds; ``None`` means the database's clock.

        Returns:
            The snapshot of the breaker. A breaker without a row reads as closed.

        Raises:
            StoreError: The database cannot be reached, or refuses the statement.
        """
        given = {"namespace": self._namespace, "name": name, "now": now}
        try:
            rows = yield from self.rows(self._statements.read, given, Effect.READ_ONLY)
        except UnstorableNameError:
            # The table cannot hold this name, so the breaker has no row.
            return Snapshot.of(name, Row(), time() if now is None else now)
        return to_snapshot(name, rows[0])

    def read_many(self, names: list[str], now: float | None) -> QuerySteps[dict[str, Snapshot]]:
        """Read several breakers in one statement.

        Args:
            names: The names of the breakers.
            now: The moment that the snapshots give as ``as_of``, Unix seconds; ``None`` means the database's clock.

        Returns:
            The snapshots, by the name of the breaker. A breaker without a row reads as closed.

        Raises:
            StoreError: The database cannot be reached, or refuses the statement.
        """
        given = {"namespace": self._namespace, "names": json.dumps(names, ensure_ascii=False), "now": now}
        try:
            rows = yield from self.rows(self._statements.read_many, given, Effect.READ_ONLY)
        except UnstorableNameError:
            # At least one name has characters that the database cannot store. The other names can be read one by one.
            snapshots = {}
            for name in names:
                snapshots[name] = yield from self.read(name, now)
            return snapshots
        unwritten = (None, rows[0][-1])
        found = {name: values for name, *values in rows}
        return {name: to_snapshot(name, found.get(name, unwritten)) for name in names}

    def read_all(self) -> QuerySteps[list[tuple[str, Snapshot]]]:
        """Read all breakers of all namespaces.

        Returns:
            Pairs of namespace and snapshot, ordered by namespace and name.

        Raises:
            StoreError: The database cannot be reached, or refuses the statement.
        """
        rows = yield from self.rows(self._statements.read_all, {"now": None}, Effect.READ_ONLY)
        return [(namespace, to_snapshot(name, values)) for namespace, name, *values in rows]

    def history(self, name: str) -> QuerySteps[str]:
        """Read the history of one breaker as text (see `cbstore_sql.core.history`).

        Args:
            name: The name of the breaker.

        Returns:
            The text as the table holds it; ``""`` if the breaker has no row.

        Raises:
            StoreError: The database cannot be reached, or refuses the statement.
        """
        given = {"namespace": self._namespace, "name": name}
        rows = yield from self.rows(self._statements.history, given, Effect.READ_ONLY)
        return str(rows[0][0]) if rows else ""

    def apply(self, command: Command) -> QuerySteps[Transition | None]:
        """Carry out a command on its breaker; create a missing row if the command would change the breaker.

        Args:
            command: The command, which holds the name of the breaker.

        Returns:
            The transition, or ``None`` if the command changed nothing.

        Raises:
            TooManyBreakersError: The command would create a row, but the namespace is full.
            StoreError: The database cannot be reached, or refuses the statement.
        """
        update = self.update(command)
        given, durable, effect = update.parameters, update.durable, repeated(command)
        rows = yield from self.rows(update.statement, given, effect, durable=durable)
        upsert = self._statements.upsert.get(command.operation)
        if not rows and command.creates and upsert is not None and command.apply_to(Row(), 0.0) is not None:
            yield from self._refuse_when_full(command.name, durable=durable)
            rows = yield from self.rows(upsert, given, effect, durable=durable)
        return to_transition(command.name, rows[0]) if rows else None

    def update(self, command: Command) -> Query:
        """Return the statement that carries out a command on a breaker that has a row.

        Args:
            command: The command, which holds the name of the breaker.
        """
        operation = command.operation
        short = self._statements.short.get((operation, specialization_for(operation, command.parameters)))
        given = {**command.parameters, "namespace": self._namespace, "name": command.name}
        return Query(short or self._statements.update[operation], given, operation not in _COUNTS)

    def success(self, permit: Permit, policy: BreakerPolicy) -> Query:
        """Return the statement that reports the success of a call through a closed circuit.

        The statement of the last success of each breaker is kept, because the next success is usually the same.

        Args:
            permit: The permit of the call.
            policy: The policy of `Store.record_success`.

        Raises:
            InvalidNameError: The permit has an invalid name or token.
            InvalidStateError: The permit has an invalid generation.
        """
        kept = self._successes.get(permit.name)
        if kept is not None and kept[0] == permit and kept[1] is policy:
            return kept[2]
        query = self.update(record_success(permit, policy, None, None))
        if len(self._successes) >= MOST_KEPT:
            self._successes.clear()
        self._successes[permit.name] = (permit, policy, query)
        return query

    def delete(self, name: str) -> QuerySteps[None]:
        """Delete the row of one breaker. Without a row, nothing happens.

        Args:
            name: The name of the breaker.

        Raises:
            StoreError: The database cannot be reached, or refuses the statement.
        """
        given = {"namespace": self._namespace, "name": name}
        yield from self.rows(self._statements.delete, given, Effect.IDEMPOTENT, durable=True)

    def _refuse_when_full(self, name: str, *, durable: bool) -> QuerySteps[None]:
        """Check that the breaker has a row or that the namespace has room for another breaker.

        If several writers check at the same moment, each writer may exceed the limit by one breaker.

        Args:
            name: The name of the breaker.
            durable: Whether the effect must survive a crash of the server; see `Query`.

        Raises:
            TooManyBreakersError: The breaker has no row, and the namespace is full.
        """
        if self._max_breakers is None:
            return
        given = {"namespace": self._namespace, "name": name, "others": self._max_breakers - 1}
        if (yield from self.rows(self._statements.no_room, given, Effect.READ_ONLY, durable=durable)):
            raise TooManyBreakersError(self._namespace, self._max_breakers)

    def rows(
        self, statement: Statement, parameters: Mapping[str, Any], effect: Effect, *, durable: bool = False
    ) -> QuerySteps[Sequence[Values]]:
        """Run a statement and return the rows. After a failure, repeat the statement if `RetryPolicy` allows.

        On PostgreSQL, a concurrent writer usually makes a statement fail only if the session's default isolation level
        is stricter than READ COMMITTED. After such a failure, the repetition runs in a READ COMMITTED transaction,
        which waits for the other writer and takes two more round trips.

        Args:
            statement: The statement.
            parameters: The parameters of the statement, by name.
            effect: What a second execution of the statement changes. If it changes something, the statement is not
                repeated when the answer to it was lost.
            durable: Whether the effect must survive a crash of the server, even if the durability of the store is
                ``"relaxed"``.

        Returns:
            The rows, with the columns that the statement did not return because their values were known.

        Raises:
            StoreError: The database cannot be reached, or refuses the statement.
            UnstorableNameError: The database cannot store a character of a name.
        """
        query = Query(statement, parameters, durable, reads=effect is Effect.READ_ONLY)
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
            query = replace(query, pause=pause, pinned=query.pinned or verdict is StatementOutcome.CONFLICT, begun=None)


def repeated(command: Command) -> Effect:
    """Return what a second execution of a command changes, for a caller that lost the answer of the first execution.

    A second claim of the probe with the same token changes nothing. A probe's report takes effect once, because it
    begins a new generation, in which the permit no longer counts. Opening, resetting, locking or overwriting twice has
    the same effect as doing so once. Counting twice is a further change.

    Args:
        command: The command.
    """
    given = command.parameters
    if command.operation in _SAFE:
        return Effect.IDEMPOTENT
    if command.operation == "record_success":
        # A second success lowers the score again. A success without a generation may also count as a second probe.
        lowers = given["test"] == BY_SCORE and given["token"] == ""
        counts = given["generation"] == UNFENCED and given["success_threshold"] > 1
        return Effect.NOT_IDEMPOTENT if lowers or counts else Effect.IDEMPOTENT
    if command.operation == "replace_state" and given["expected"] == ANY_STATE:
        return Effect.IDEMPOTENT
    return Effect.NOT_IDEMPOTENT
