"""A thread, one for each breaker object, that sends and receives notifications of state changes over one connection.

A notification only makes other processes read the breaker at once. If a notification is lost, they read the breaker at
their usual interval, as without push.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

from cbstore_sql.core.model import Transition
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.runtime import sansio
from cbstore_sql.runtime.backoff import ExponentialBackoff
from cbstore_sql.runtime.fork import after_fork_in_child
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore
from cbstore_sql.stores.push import PushState, PushTarget
from cbstore_sql.stores.sql.push.channel import (
    Channel,
    NotDeliveredError,
    channel_of,
    digest_of,
    is_impossible,
    newer_names,
)
from cbstore_sql.stores.sql.store import SqlStore
from cbstore_sql.stores.sql.store_async import AsyncSqlStore
from cbstore_sql.stores.threaded import ThreadedStore

log = logging.getLogger("cbstore_sql")

HEARTBEAT = 5.0
"""The longest time, in seconds, between two checks of the connection and of whether the thread is still needed."""

_PROBE_SECONDS = 3.0
_LONGEST_PAUSE = 30.0
_BACKOFF = ExponentialBackoff(0.5, _LONGEST_PAUSE)
_IMPOSSIBLE_PAUSE = 300.0
_CLOSING_SECONDS = 5.0
_UNSENT = 1000


class Push:
    """A background thread that tells other processes of state changes at once, and hears of theirs.

    It uses PostgreSQL's LISTEN and NOTIFY over one connection. The thread starts with the first call of `ensure`, and
    ends when this process no longer uses any breaker.

    Args:
        view: This process's copy of the shared state. After a notification, the thread reads the breaker again and
            updates the copy.
        store: The store of the breakers, on PostgreSQL.

    Attributes:
        state: Whether notifications arrive: ``"off"``, ``"connecting"``, ``"listening"`` or ``"unavailable"``; see
            `PushState`.
    """

    def __init__(self, view: PushTarget, store: SqlStore) -> None:
        self._view = view
        self._store = store
        self._channel = channel_of(store._queries.schema)
        self._ends: tuple[socket.socket, ...] = ()
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        """Set the state to "no thread runs", because a forked process does not inherit the parent's thread."""
        self.state: PushState = "off"
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._asked_for = False
        self._warned = False
        self._unsent: deque[str] = deque(maxlen=_UNSENT)
        for end in self._ends:
            end.close()

    def ensure(self) -> None:
        """Start the background thread if it does not run. If it cannot start, this method does not raise."""
        with self._lock:
            self._asked_for = True
            if self._thread is None or self._stopped.is_set():
                try:
                    self._start()
                except (OSError, RuntimeError) as error:  # no socket is left, or the interpreter is shutting down
                    log.debug("push did not start: %s", type(error).__name__)

    def announce(self, transition: Transition) -> None:
        """Tell other processes soon that a breaker has changed its state. This method does not wait.

        The background thread sends the notification. If it cannot be sent, other processes see the change at their next
        usual read.

        Args:
            transition: The state change.
        """
        snapshot = transition.snapshot
        self._unsent.append(f"{digest_of(self._store.namespace, snapshot.name)} {snapshot.generation}")
        self.ensure()
        self._wake()

    def close(self) -> None:
        """Send the waiting notifications, end the background thread and close its connection.

        This method waits at most 5 seconds for the end of the thread.
        """
        with self._lock:
            thread = self._thread
            self._stopped.set()
        self._wake()
        if thread is not None:
            thread.join(_CLOSING_SECONDS)

    def end_with(self, owner: object) -> None:
        """End the background thread when an object is garbage collected.

        Args:
            owner: The object that needs the notifications: the breaker object.
        """
        weakref.finalize(owner, self._end).atexit = False

    def _end(self) -> None:
        # This method takes no lock: the garbage collector may call it while this thread holds the lock.
        self._stopped.set()
        self._wake()

    def _start(self) -> None:
        stopped = threading.Event()
        waker, wake = socket.socketpair()
        try:
            waker.setblocking(False)
            wake.setblocking(False)
            thread = threading.Thread(target=self._run, args=(stopped, waker, wake), name="cbstore-push", daemon=True)
            self.state = "connecting"
            thread.start()
        except BaseException:
            self.state = "off"
            waker.close()
            wake.close()
            raise
        # Set these only after the start: otherwise `ensure` would believe that a thread runs when it did not start.
        self._stopped, self._ends, self._thread = stopped, (waker, wake), thread

    def _wake(self) -> None:
        # If the socket is closed, no thread waits. If the socket is full, the thread is already awake.
        with suppress(OSError):
            for waker in self._ends[:1]:
                waker.send(b"!")

    def _run(self, stopped: threading.Event, waker: socket.socket, wake: socket.socket) -> None:
        failures = 0
        with waker, wake:
            while True:
                began = monotonic()
                try:
                    return self._listen(stopped, wake)
                except Exception as error:  # noqa: BLE001 - whatever it is, polling goes on
                    failures = 0 if monotonic() - began > _LONGEST_PAUSE else failures + 1
                    stopped.wait(self._pause_after(error, failures))
                if self._is_over(stopped):
                    return None

    def _is_over(self, stopped: threading.Event) -> bool:
        """Whether the thread must end.

        The thread must end after `close`. The thread must also end if no breaker is in use and no caller has called
        `ensure` since the last call of this method.

        Args:
            stopped: The event that tells this thread to end.
        """
        with self._lock:
            over = stopped.is_set() or not (self._asked_for or self._view.generations())
            self._asked_for = False
            if over and self._stopped is stopped:
                self._thread, self.state = None, "off"
        return over

    def _listen(self, stopped: threading.Event, wake: socket.socket) -> None:
        """Receive and send notifications until the thread must end.

        Args:
            stopped: The event that tells this thread to end.
            wake: A socket that ends the wait of the thread; see `Channel`.
        """
        with self._session(wake) as channel:
            channel.listen()
            token = secrets.token_hex(8)
            with self._session(wake) as another:
                another.notify(token)
            channel.expect(token, _PROBE_SECONDS)
            self._read(channel, list(self._view.generations()))
            self.state, self._warned = "listening", False
            self._serve(channel, stopped)

    def _serve(self, channel: Channel, stopped: threading.Event) -> None:
        due = monotonic() + HEARTBEAT
        while True:
            self._send(channel)
            if stopped.is_set() or monotonic() >= due:
                if self._is_over(stopped):
                    return
                due = monotonic() + HEARTBEAT
            channel.wait(max(0.0, due - monotonic()))
            channel.check()
            self._read(channel, newer_names(channel.received(), self._store.namespace, self._view.generations()))

    def _send(self, channel: Channel) -> None:
        while self._unsent:
            # Remove the notification before sending: a notification that cannot be sent must not be tried for ever.
            channel.notify(self._unsent.popleft())

    def _read(self, channel: Channel, names: list[str]) -> None:
        if names:
            asked_at = self._view.clock()
            self._view.record_many(sansio.run(self._store._queries.read_many(names, None), channel.execute), asked_at)

    @contextmanager
    def _session(self, wake: socket.socket) -> Iterator[Channel]:
        """Open a connection with the settings of the store's engine, outside the pool, and close it after the block.

        The pool of the engine may be too small for one more permanent connection.

        Args:
            wake: A socket that ends the wait of the thread; see `Channel`.
        """
        fairy = self._store._engine.raw_connection()
        driver: Any = fairy.driver_connection
        fairy.detach()
        _drivers[id(driver)] = driver
        try:
            yield Channel(driver, self._channel, wake)
        finally:
            driver.close()
            del _drivers[id(driver)]

    def _pause_after(self, error: Exception, failures: int) -> float:
        """Set the state after an error and return the seconds to wait before the next attempt.

        Args:
            error: The error that ended the last attempt.
            failures: The number of consecutive failures; 0 after an attempt that lasted longer than
                the longest pause.
        """
        if not is_impossible(error):
            log.debug("push lost its connection: %s", type(error).__name__)
            self.state = "connecting"
            return _BACKOFF.after(failures - 1)
        self.state = "unavailable"
        self._unsent.clear()
        if not self._warned:
            self._warned = True
            log.warning("push is unavailable here (a transaction pooler or a standby); polling goes on")
        # A standby may become the primary soon, or the address may soon lead to another server.
        return _IMPOSSIBLE_PAUSE if isinstance(error, NotDeliveredError) else _BACKOFF.after(failures - 1)


def open_push(store: Store | AsyncStore, view: PushTarget) -> Push:
    """Make a `Push`, which sends and receives notifications of state changes. Its thread does not start yet.

    Args:
        store: The store of the breaker object.
        view: The breaker object's copy of the shared state, which notifications keep up to date.

    Raises:
        ConfigurationError: The store is not on PostgreSQL, or the store uses the application's own ``AsyncEngine``.
    """
    if isinstance(store, ThreadedStore):
        return open_push(store._store, view)
    if isinstance(store, (SqlStore, AsyncSqlStore)) and store._engine.dialect.name == "postgresql":
        if isinstance(store, SqlStore):
            return Push(view, store)
        if not store._owned:
            raise ConfigurationError("push needs a store made for a URL: a thread cannot listen over an AsyncEngine")
        url, schema = store._engine.url, store._queries.schema
        return Push(view, SqlStore(url, namespace=store.namespace, schema=schema))
    raise ConfigurationError("push needs a store on PostgreSQL")


# A forked process keeps the parent's connections here: a collected connection would warn that it was not closed.
_drivers: dict[int, Any] = {}
