"""Driver connections that stay checked out of SQLAlchemy's pool between statements.

Checking a connection out of the pool and in again costs as much as a quarter of a statement. So a store with a URL
keeps its connections checked out until the store is closed. SQLAlchemy's pool still opens and counts every connection.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from cbstore_sql.deadline import remaining
from cbstore_sql.runtime.fork import after_fork_in_child
from cbstore_sql.stores.sql.connections.connection import Lease
from cbstore_sql.stores.sql.connections.connection_sqlite import SqliteConnection
from cbstore_sql.stores.sql.connections.prepare import Preparing
from cbstore_sql.stores.sql.connections.session_setup import SessionSetup
from cbstore_sql.stores.sql.operations import Query, Values
from cbstore_sql.stores.sql.retry import ON_ALL_CONNECTIONS, LateError, NotSentError, classify_error

L = TypeVar("L", bound=Lease)


class BasePool(Generic[L]):
    """What `StickyPool` and `AsyncStickyPool` share: a set of connections that stay open between statements.

    Args:
        engine: An engine that the store made, whose connections commit after each statement. For an asynchronous store,
            the sync engine behind the ``AsyncEngine``.
        preparing: Whether to prepare statements on the server; see `Preparing`.
    """

    def __init__(self, engine: Engine, preparing: Preparing) -> None:
        self._engine = engine
        self._preparing = preparing
        self._free: deque[L] = deque()
        self._begin()
        after_fork_in_child(self._reset_after_fork)
        _pools.add(self)

    def _reset_after_fork(self) -> None:
        """In a forked process, stop using the parent's connections, but keep the connections open.

        Both processes share each socket, so closing a connection would end the parent's session.
        """
        _parents.append(self._free)
        self._free = deque()
        self._engine.dispose(close=False)
        self._begin()

    def _begin(self) -> None:
        """Create the slots, which are free at first. A slot is the right to use one connection."""
        raise NotImplementedError

    def _limit(self) -> int:
        pool: Any = self._engine.pool
        return int(pool.size() + pool._max_overflow)

    def _patience(self) -> float:
        """Return the longest time to wait for a free slot, seconds."""
        pool: Any = self._engine.pool
        left = remaining()
        return float(pool.timeout()) if left is None else min(left, pool.timeout())

    def _none_free(self) -> NotSentError | LateError:
        """Return the error for a caller whose slot did not become free in time.

        Returns:
            A `LateError` if the caller's deadline has passed; a `NotSentError` if the pool's timeout has passed.
        """
        if remaining() == 0.0:
            return LateError(sent=False)
        return NotSentError(sa.exc.TimeoutError("every connection of the pool is at work"))

    def _taken_back(self) -> Iterator[L]:
        """Remove the idle connections from this pool one by one, and yield each for closing."""
        with suppress(IndexError):
            while True:
                yield self._free.popleft()

    def _is_usable(self, lease: L) -> bool:
        return lease.pool is self._engine.pool and not lease.is_dead()

    def _is_over(self, lease: L, error: BaseException) -> bool:
        """Whether an error makes a connection unusable, so that the pool must close the connection.

        Args:
            lease: The connection.
            error: The error that was raised on the connection.
        """
        # After an interrupted statement, the connection may still receive a reply that no caller waits for.
        return not isinstance(error, Exception) or isinstance(error, LateError) or not lease.is_sound()


class StickyPool(BasePool[Any]):
    """A set of connections that stay open between statements, for threads. Each thread uses one during a statement.

    Args:
        engine: An engine that the store made, whose connections commit after each statement.
        preparing: Whether to prepare statements on the server; see `Preparing`.
        setup: The first statement of a PostgreSQL session, or ``None`` if the session needs no such statement.
    """

    def __init__(self, engine: Engine, preparing: Preparing, setup: SessionSetup | None = None) -> None:
        super().__init__(engine, preparing)
        self._connect = _connector(engine, setup)

    def execute(self, query: Query) -> list[Values]:
        """Run one statement in its own transaction and return the rows. If all connections are in use, wait for one.

        Args:
            query: The statement with its parameters.

        Raises:
            NotSentError: An error occurred before the statement was sent, or no connection became free in time.
            LateError: The statement did not end by the caller's deadline.
        """
        try:
            self._slots.get_nowait()
        except Empty:
            self._wait_for_turn()
        # This list becomes empty when another thread takes over the duty to free the slot.
        slot = [self._slots]
        try:
            return self._execute(query, slot)
        finally:
            for slots in slot:
                slots.put(None)

    def send(self, query: Query) -> bool:
        """Send one statement on an idle connection without waiting for its answer; see `PgSession.send`.

        Args:
            query: The statement with its parameters.

        Returns:
            Whether the statement was sent. ``False`` means that no idle connection can send it at once; the statement
            then had no effect.
        """
        slots = self._slots
        try:
            slots.get_nowait()
        except Empty:
            return False
        try:
            return self._preparing.wanted and self._send(query)
        finally:
            slots.put(None)

    def _send(self, query: Query) -> bool:
        try:
            lease = self._free.pop()
        except IndexError:
            return False
        try:
            return self._is_usable(lease) and lease.send(query)
        finally:
            # The next caller finds out whether the connection is still usable.
            self._free.append(lease)

    def _wait_for_turn(self) -> None:
        # A thread that waited in SQLAlchemy's pool would not notice a connection that becomes free here.
        try:
            self._slots.get(timeout=self._patience())
        except Empty:
            raise self._none_free() from None

    def _execute(self, query: Query, slot: list[SimpleQueue[None]]) -> list[Values]:
        lease = self._take(slot)
        try:
            rows: list[Values] = lease.execute(query, prepare=self._preparing.wanted)
        except BaseException as error:
            self._after_error(lease, error, slot)
            raise
        self._free.append(lease)
        return rows

    def _after_error(self, lease: Lease, error: BaseException, slot: list[SimpleQueue[None]]) -> None:
        if not self._is_over(lease, error):
            self._free.append(lease)
        elif lease.end_in_background(partial(slot[0].put, None)):
            # The server may still execute the statement. The slot becomes free when the server session has ended.
            slot.clear()
        else:
            lease.discard()
        self._learn(lease, error)

    def close(self) -> None:
        """Close the idle connections and SQLAlchemy's pool. A connection that runs a statement stays open."""
        for lease in self._taken_back():
            # If the engine's pool was replaced, nothing closes a connection that returns to the old pool.
            if self._is_usable(lease) and lease.is_idle():
                lease.connection.close()
            else:
                lease.discard()
        self._engine.dispose()

    def _begin(self) -> None:
        # A queue costs a third of the time of a semaphore.
        self._slots: SimpleQueue[None] = SimpleQueue()
        for _ in range(self._limit()):
            self._slots.put(None)

    def _learn(self, lease: Lease, error: BaseException) -> None:
        if classify_error(error) in ON_ALL_CONNECTIONS:
            self._engine.dispose()
        elif lease.is_shared():
            self._preparing.give_up()

    def _take(self, slot: list[SimpleQueue[None]]) -> Lease:
        while self._free:
            try:
                lease: Lease = self._free.pop()
            except IndexError:
                break
            if self._is_usable(lease):
                return lease
            lease.discard()
        left = remaining()
        return self._open() if left is None else self._open_within(left, slot)

    def _open(self) -> Lease:
        try:
            return self._connect()
        except Exception as error:
            raise NotSentError(error) from error

    def _open_within(self, seconds: float, slot: list[SimpleQueue[None]]) -> Lease:
        """Open a connection in a background thread, and wait for the connection until the deadline.

        If the connection opens after the deadline, it becomes an idle connection of this pool. Until then it keeps the
        caller's slot. So there are never more connections than slots.

        Args:
            seconds: The longest time to wait, seconds.
            slot: The caller's slot. The list becomes empty if the opening goes on after the deadline.

        Raises:
            LateError: The connection was not open in time.
            NotSentError: The connection could not be opened.
        """
        opened: Future[Lease] = Future()
        try:
            threading.Thread(target=self._open_for, args=(opened,), name="cbstore-open", daemon=True).start()
        except RuntimeError as error:  # no thread can be started
            raise NotSentError(error) from error
        in_time = False
        try:
            in_time = bool(wait_for([opened], timeout=seconds).done)
        finally:
            if not in_time:
                opened.add_done_callback(partial(self._keep, slot.pop()))
        if not in_time:
            raise LateError(sent=False)
        return opened.result()

    def _open_for(self, opened: Future[Lease]) -> None:
        try:
            opened.set_result(self._open())
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises the error
            opened.set_exception(error)

    def _keep(self, slots: SimpleQueue[None], opened: Future[Lease]) -> None:
        try:
            if opened.exception() is None:
                lease = opened.result()
                if lease.pool is self._engine.pool:
                    self._free.append(lease)
                else:
                    lease.discard()
        finally:
            slots.put(None)


def _connector(engine: Engine, setup: SessionSetup | None) -> Callable[[], Lease]:
    """Return a function that opens a connection and returns the lease for the dialect of the engine.

    Args:
        engine: The engine that opens the connections.
        setup: The first statement of a PostgreSQL session, or ``None`` if the session needs none.
    """
    if engine.dialect.name == "sqlite":
        return lambda: SqliteConnection(engine.pool, engine.raw_connection())
    from cbstore_sql.stores.sql.connections.connection_pg import PsycopgConnection

    return lambda: PsycopgConnection(engine.pool, engine.raw_connection(), setup)


# The parent's connections stay referenced here: garbage collection would close them and end the parent's sessions.
_parents: list[deque[Any]] = []


# When the interpreter exits, SQLAlchemy logs an error for each connection that is still checked out. So `_let_go`
# detaches the idle connections of these pools first.
_pools: WeakSet[BasePool[Any]] = WeakSet()


def _let_go() -> None:
    for pool in list(_pools):
        for lease in pool._taken_back():
            lease.connection.detach()
            _parents.append(deque([lease]))


atexit.register(_let_go)
