"""Driver connections that stay out of the pool between statements: the short way from an operation to the server.

Checking a connection out of the pool and in again for each statement costs as much as a quarter of the statement. A
store on an engine of its own therefore keeps what it has checked out, each with a cursor that is used again and
again, and puts it back when the store or the engine is closed. The pool still opens and counts every connection.
"""

from __future__ import annotations

import os
import select
import threading
import weakref
from collections import deque
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool, PoolProxiedConnection

from cbstore_sql.stores.sql.engine import is_spoilt
from cbstore_sql.stores.sql.psycopg_sync import execute_on
from cbstore_sql.stores.sql.queries import Query, Values


class _Lease:
    """One connection, checked out, with its cursor."""

    __slots__ = ("connection", "cursor", "driver", "pool")

    def __init__(self, engine: Engine) -> None:
        self.pool: Pool = engine.pool
        self.connection: PoolProxiedConnection = engine.raw_connection()
        self.driver: Any = self.connection.driver_connection

    def is_dead(self) -> bool:
        """Whether the server has ended the connection; costs no round trip."""
        return False

    def execute(self, query: Query) -> list[Values]:
        """Execute one statement and fetch its rows."""
        raise NotImplementedError


class _PsycopgLease(_Lease):
    """Prepared statements, binary answers."""

    __slots__ = ("_poll",)

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.cursor = self.driver.cursor(binary=True)
        self._poll = select.poll()
        self._poll.register(self.driver.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)

    def is_dead(self) -> bool:
        # Between two statements a server has nothing to say but that it is going.
        return bool(self._poll.poll(0))

    def execute(self, query: Query) -> list[Values]:
        return execute_on(self.cursor, query)


class _SqliteLease(_Lease):
    __slots__ = ()

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.cursor = self.driver.cursor()

    def execute(self, query: Query) -> list[Values]:
        # Unfetched rows of a RETURNING keep SQLite's write lock.
        rows: list[Values] = self.cursor.execute(query.statement, query.parameters).fetchall()
        return rows


_KINDS: dict[str, type[_Lease]] = {"postgresql": _PsycopgLease, "sqlite": _SqliteLease}


class Leases:
    """The connections of an engine that commits each statement by itself, one for each thread at work at a time.

    Args:
        engine: An engine of the store's own, in driver-level autocommit.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kind = _KINDS[engine.dialect.name]
        self._free: deque[_Lease] = deque()
        self._pool: Any = engine.pool
        self._turns = self._new_turns()
        _all.add(self)

    def execute(self, query: Query) -> list[Values]:
        """Execute one statement in a transaction of its own and return its rows.

        Raises:
            sqlalchemy.exc.TimeoutError: Every connection the pool may open stayed at work.
        """
        # A thread that waited at the pool would never see a connection that comes back here.
        if not self._turns.acquire(timeout=self._pool.timeout()):
            raise sa.exc.TimeoutError("every connection of the pool is at work")
        try:
            return self._execute(query)
        finally:
            self._turns.release()

    def _execute(self, query: Query) -> list[Values]:
        lease = self._take()
        try:
            rows = lease.execute(query)
        except BaseException as error:
            if is_spoilt(self._engine.dialect, lease.driver, error):
                lease.connection.invalidate(error)
                lease.connection.close()
            else:
                self._free.append(lease)
            raise
        self._free.append(lease)
        return rows

    def close(self) -> None:
        """Put back what is not at work and close the pool; what is at work follows when it is done."""
        while self._free:
            self._free.popleft().connection.close()
        self._engine.dispose()

    def start_anew(self) -> None:
        """Leave the parent's connections alone, in a process just forked: both would speak on one socket."""
        _parents.append(self._free)
        self._free = deque()
        self._turns = self._new_turns()
        self._engine.dispose(close=False)

    def _new_turns(self) -> threading.Semaphore:
        return threading.Semaphore(self._pool.size() + self._pool._max_overflow)

    def _take(self) -> _Lease:
        while True:
            try:
                lease = self._free.pop()
            except IndexError:
                return self._kind(self._engine)
            if lease.pool is self._engine.pool and not lease.is_dead():
                return lease
            lease.connection.invalidate()
            lease.connection.close()


_all: weakref.WeakSet[Leases] = weakref.WeakSet()

# Collected, they would be closed, and the parent's sessions with them.
_parents: list[deque[_Lease]] = []


def _after_fork() -> None:
    for leases in _all:
        leases.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
