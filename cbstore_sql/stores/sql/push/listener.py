"""Tells other processes of changes of state, and hears of theirs: a thread with one connection for each breaker.

What it hears is a hint to read at once. Whatever is lost, the view is refreshed and grows stale as without it.
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
from cbstore_sql.stores.sql.push.channel import Channel, channel_of, digest_of, is_impossible, newer_names
from cbstore_sql.stores.sql.store import SqlStore
from cbstore_sql.stores.sql.store_async import AsyncSqlStore
from cbstore_sql.stores.threaded import ThreadedStore

log = logging.getLogger("cbstore_sql")

HEARTBEAT = 5.0
"""Seconds of silence after which the connection is checked."""

_PROBE_SECONDS = 3.0
_LONGEST_PAUSE = 30.0
_BACKOFF = ExponentialBackoff(0.5, _LONGEST_PAUSE)
_IMPOSSIBLE_PAUSE = 300.0
_CLOSING_SECONDS = 5.0
_UNSENT = 1000


class Push:
    """The push of one breaker.

    Its thread starts with the first call that asked the store, and ends when no breaker is in use any more.

    Args:
        view: Whose breakers are read again when they changed elsewhere.
        store: On PostgreSQL.

    Attributes:
        state: See `PushState`.
    """

    def __init__(self, view: PushTarget, store: SqlStore) -> None:
        self._view = view
        self._store = store
        self._channel = channel_of(store._queries.schema)
        self._ends: tuple[socket.socket, ...] = ()
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        """Begin without a thread, as in a process just forked: the parent's is not here."""
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
        """See to it that the thread runs."""
        with self._lock:
            self._asked_for = True
            if self._thread is None or self._stopped.is_set():
                try:
                    self._start()
                except (OSError, RuntimeError) as error:  # no socket is left, or the interpreter is shutting down
                    log.debug("push did not start: %s", type(error).__name__)

    def announce(self, transition: Transition) -> None:
        """Tell the other processes of a change, soon and in the thread: the caller waits for nothing."""
        snapshot = transition.snapshot
        self._unsent.append(f"{digest_of(self._store.namespace, snapshot.name)} {snapshot.generation}")
        self.ensure()
        self._wake()

    def close(self) -> None:
        """Send what is to be sent, end the thread and close the connection."""
        with self._lock:
            thread = self._thread
            self._stopped.set()
        self._wake()
        if thread is not None:
            thread.join(_CLOSING_SECONDS)

    def end_with(self, owner: object) -> None:
        """End the thread when an object is garbage-collected: a breaker that nothing refers to needs no connection."""
        weakref.finalize(owner, self._end).atexit = False

    def _end(self) -> None:
        # Without the lock: the garbage collector may call this in the middle of anything.
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
        # Only now: a thread that did not start must not be taken for one that runs.
        self._stopped, self._ends, self._thread = stopped, (waker, wake), thread

    def _wake(self) -> None:
        # If it is closed, no thread waits; if it is full, the thread was woken already.
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
        """Whether the thread was closed, or was not used since the last check and no breaker is in use."""
        with self._lock:
            over = stopped.is_set() or not (self._asked_for or self._view.generations())
            self._asked_for = False
            if over and self._stopped is stopped:
                self._thread, self.state = None, "off"
        return over

    def _listen(self, stopped: threading.Event, wake: socket.socket) -> None:
        """Hear and tell until the thread is over."""
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
            # Before it is sent: one that cannot be sent must not be tried for ever.
            channel.notify(self._unsent.popleft())

    def _read(self, channel: Channel, names: list[str]) -> None:
        if names:
            asked_at = self._view.clock()
            self._view.record_many(sansio.run(self._store._queries.read_many(names, None), channel.execute), asked_at)

    @contextmanager
    def _session(self, wake: socket.socket) -> Iterator[Channel]:
        """Open a connection as the store's engine does, outside its pool: that need not be large enough."""
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
        """Return how long to wait before another attempt, seconds."""
        if not is_impossible(error):
            log.debug("push lost its connection: %s", type(error).__name__)
            self.state = "connecting"
            return _BACKOFF.after(failures - 1)
        self.state = "unavailable"
        self._unsent.clear()
        if not self._warned:
            self._warned = True
            log.warning("push is unavailable here (a transaction pooler or a standby); polling goes on")
        return _IMPOSSIBLE_PAUSE


def open_push(store: Store | AsyncStore, view: PushTarget) -> Push:
    """Make the push of one breaker over its store.

    Raises:
        ConfigurationError: The store is not on PostgreSQL, or is asynchronous on the application's own engine.
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


# In a forked process they stay here: if collected, they would warn that they were not closed.
_drivers: dict[int, Any] = {}
