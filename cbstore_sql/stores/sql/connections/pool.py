"""Driver connections that stay out of the pool between statements: the short way from an operation to the server.

Checking a connection out of the pool and in again for each statement costs as much as a quarter of the statement. A
store on its own engine therefore keeps what it has checked out, and puts it back when the store or the engine
is closed. The pool still opens and counts every connection.
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
    """The connections of an engine of our own, whatever their colour.

    Args:
        engine: In driver-level autocommit.
        preparing: See `Preparing`.
    """

    def __init__(self, engine: Engine, preparing: Preparing) -> None:
        self._engine = engine
        self._preparing = preparing
        self._free: deque[L] = deque()
        self._begin()
        after_fork_in_child(self._reset_after_fork)
        _pools.add(self)

    def _reset_after_fork(self) -> None:
        """Leave the parent's connections alone, in a process just forked: both would speak on one socket."""
        _parents.append(self._free)
        self._free = deque()
        self._engine.dispose(close=False)
        self._begin()

    def _begin(self) -> None:
        """Make the slots, all of them free."""
        raise NotImplementedError

    def _limit(self) -> int:
        pool: Any = self._engine.pool
        return int(pool.size() + pool._max_overflow)

    def _patience(self) -> float:
        """Return how long to wait for another one's connection, seconds."""
        pool: Any = self._engine.pool
        left = remaining()
        return float(pool.timeout()) if left is None else min(left, pool.timeout())

    def _none_free(self) -> NotSentError | LateError:
        """Return what to raise when that was too short."""
        if remaining() == 0.0:
            return LateError(sent=False)
        return NotSentError(sa.exc.TimeoutError("every connection of the pool is at work"))

    def _taken_back(self) -> Iterator[L]:
        """Give out what is not at work, one by one, to be worked with no more."""
        with suppress(IndexError):
            while True:
                yield self._free.popleft()

    def _is_usable(self, lease: L) -> bool:
        return lease.pool is self._engine.pool and not lease.is_dead()

    def _is_over(self, lease: L, error: BaseException) -> bool:
        """Whether a connection must not be used again after an error."""
        # Interrupted half-way, a connection may still receive a reply that no caller waits for.
        return not isinstance(error, Exception) or isinstance(error, LateError) or not lease.is_sound()


class StickyPool(BasePool[Any]):
    """The connections of an engine that commits each statement by itself, one for each thread at work at a time.

    Args:
        engine: An engine of the store's own, in driver-level autocommit.
        preparing: See `Preparing`.
        setup: What sessions begin with on PostgreSQL.
    """

    def __init__(self, engine: Engine, preparing: Preparing, setup: SessionSetup | None = None) -> None:
        super().__init__(engine, preparing)
        self._connect = _connector(engine, setup)

    def execute(self, query: Query) -> list[Values]:
        """Execute one statement in its own transaction and return its rows.

        Raises:
            NotSentError: It failed before the statement was sent.
            LateError: The deadline passed.
        """
        try:
            self._slots.get_nowait()
        except Empty:
            self._wait_for_turn()
        # Empty once something else has to give the slot back.
        slot = [self._slots]
        try:
            return self._execute(query, slot)
        finally:
            for slots in slot:
                slots.put(None)

    def _wait_for_turn(self) -> None:
        # A thread that waited at the pool would never see a connection that comes back here.
        try:
            self._slots.get(timeout=self._patience())
        except Empty:
            raise self._none_free() from None

    def _execute(self, query: Query, slot: list[SimpleQueue[None]]) -> list[Values]:
        lease = self._take()
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
            # The server may still be at the statement: the slot comes back when its session has ended.
            slot.clear()
        else:
            lease.discard()
        self._learn(lease, error)

    def close(self) -> None:
        """Put back what is not at work and close the pool; what is at work follows when it is done."""
        for lease in self._taken_back():
            # The pool that a lease came from may have been replaced: nothing would close what goes back there.
            if self._is_usable(lease):
                lease.connection.close()
            else:
                lease.discard()
        self._engine.dispose()

    def _begin(self) -> None:
        # A third of what a semaphore costs.
        self._slots: SimpleQueue[None] = SimpleQueue()
        for _ in range(self._limit()):
            self._slots.put(None)
        self._openers = threading.Semaphore(self._limit())

    def _learn(self, lease: Lease, error: BaseException) -> None:
        if classify_error(error) in ON_ALL_CONNECTIONS:
            self._engine.dispose()
        elif lease.is_shared():
            self._preparing.give_up()

    def _take(self) -> Lease:
        while self._free:
            try:
                lease: Lease = self._free.pop()
            except IndexError:
                break
            if self._is_usable(lease):
                return lease
            lease.discard()
        left = remaining()
        return self._open() if left is None else self._open_within(left)

    def _open(self) -> Lease:
        try:
            return self._connect()
        except Exception as error:
            raise NotSentError(error) from error

    def _open_within(self, seconds: float) -> Lease:
        """Open a connection in a thread that may take longer: its caller does not wait, and the next one has it."""
        if not self._openers.acquire(blocking=False):
            raise LateError(sent=False)
        opened: Future[Lease] = Future()
        try:
            threading.Thread(target=self._open_for, args=(opened,), name="cbstore-open", daemon=True).start()
        except RuntimeError as error:  # no thread can be started
            self._openers.release()
            raise NotSentError(error) from error
        in_time = False
        try:
            in_time = bool(wait_for([opened], timeout=seconds).done)
        finally:
            if not in_time:
                opened.add_done_callback(self._keep)
        if not in_time:
            raise LateError(sent=False)
        return opened.result()

    def _open_for(self, opened: Future[Lease]) -> None:
        try:
            opened.set_result(self._open())
        except BaseException as error:  # noqa: BLE001 - it is for whoever waits
            opened.set_exception(error)
        finally:
            self._openers.release()

    def _keep(self, opened: Future[Lease]) -> None:
        if opened.exception() is None:
            lease = opened.result()
            if lease.pool is self._engine.pool:
                self._free.append(lease)
            else:
                lease.discard()


def _connector(engine: Engine, setup: SessionSetup | None) -> Callable[[], Lease]:
    """Return what opens a connection of the right kind."""
    if engine.dialect.name == "sqlite":
        return lambda: SqliteConnection(engine.pool, engine.raw_connection())
    from cbstore_sql.stores.sql.connections.connection_pg import PsycopgConnection

    return lambda: PsycopgConnection(engine.pool, engine.raw_connection(), setup)


# Collected, they would be closed, and the parent's sessions with them.
_parents: list[deque[Any]] = []


# While the interpreter ends, SQLAlchemy would log an error for each connection that is not back in its pool.
_pools: WeakSet[BasePool[Any]] = WeakSet()


def _let_go() -> None:
    for pool in list(_pools):
        for lease in pool._taken_back():
            lease.connection.detach()
            _parents.append(deque([lease]))


atexit.register(_let_go)
