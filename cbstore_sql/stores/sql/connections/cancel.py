"""Threads that end a server session after the client abandoned the session's statement at the deadline.

A server session continues to wait for a lock after the client has gone. If the client opened a new connection for each
abandoned connection, one locked row could use up all connections of the server. So this module cancels the statement
and waits until the server session has ended. Only then may the pool open a new connection in place of the abandoned
one.
"""

from __future__ import annotations

import atexit
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from psycopg import pq

from cbstore_sql.runtime.fork import after_fork_in_child
from cbstore_sql.stores.sql.connections.socket_wait import wait_for_socket

SECONDS = 1.0
"""Seconds to wait until the server has ended a session.

After this time, this module assumes that the server cannot be reached."""

_WANTS_WRITE = {pq.PollingStatus.READING: False, pq.PollingStatus.WRITING: True}


class Abandoned:
    """Ends server sessions in background threads after their callers stopped waiting at the deadline."""

    def __init__(self) -> None:
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._threads: set[threading.Thread] = set()

    def end(self, driver: Any, ended: Callable[[], None]) -> None:
        """Cancel the running statement of a session and close the connection, in a background thread.

        Args:
            driver: A psycopg connection on which the server still executes a statement.
            ended: A function that is called once, in any thread, when the server session has ended or cannot be
                reached. The function must not raise.
        """
        thread = threading.Thread(target=self._run, args=(driver, ended), name="cbstore-cancel", daemon=True)
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # no thread can be started: the server notices that the client has gone
            self._threads.discard(thread)
            driver.pgconn.finish()
            ended()

    def wait(self) -> None:
        """Wait until all sessions that `end` received have ended, but at most `SECONDS` seconds.

        The interpreter calls this method when the process exits.
        """
        end = monotonic() + SECONDS
        for thread in list(self._threads):
            thread.join(max(0.0, end - monotonic()))

    def _run(self, driver: Any, ended: Callable[[], None]) -> None:
        try:
            end_session(driver.pgconn, monotonic() + SECONDS)
        finally:
            ended()
            self._threads.discard(threading.current_thread())


def end_session(pgconn: Any, end: float) -> None:
    """Cancel the running statement of a session, close the connection, and wait until the server has ended the session.

    This function does not raise if the server cannot be reached.

    Args:
        pgconn: The libpq connection of the session.
        end: When to stop waiting, in seconds of `time.monotonic`.
    """
    with suppress(Exception):
        if _request_cancel(pgconn, end):
            _drain(pgconn, end)
    number = None
    with suppress(Exception):
        number = os.dup(pgconn.socket)
    pgconn.finish()
    if number is not None:
        with socket.socket(fileno=number) as remains, suppress(OSError):
            remains.settimeout(max(0.001, end - monotonic()))
            # A server process closes its socket as its last action.
            while remains.recv(4096):
                pass


def _request_cancel(pgconn: Any, end: float) -> bool:
    """Send the server a request to cancel the statement of a session.

    Args:
        pgconn: The libpq connection of the session.
        end: The time at which to stop waiting, by `time.monotonic`, seconds.

    Returns:
        Whether the request was sent in time.
    """
    if pq.version() >= 170000:  # noqa: PLR2004 - libpq 17 has PQcancelStart
        request = pgconn.cancel_conn()
        request.start()
        try:
            while (write := _WANTS_WRITE.get(request.poll())) is not None:
                left = end - monotonic()
                if left <= 0.0 or wait_for_socket(request.socket).wait(left, write=write) is None:
                    return False
        finally:
            request.finish()
        return True
    if pq.__impl__ != "python":
        # psycopg's C code holds the GIL during PQcancel, so a frozen server would freeze the program. Instead, the
        # setting client_connection_check_interval makes the server end the statement.
        return False
    asking = threading.Thread(target=_cancel, args=(pgconn.get_cancel(),), name="cbstore-cancel-request", daemon=True)
    asking.start()
    asking.join(max(0.0, end - monotonic()))
    return not asking.is_alive()


def _cancel(request: Any) -> None:
    with suppress(Exception):
        request.cancel()


def _drain(pgconn: Any, end: float) -> None:
    """Read the answer of the server until the statement has ended; see `end_session` for the arguments."""
    ready = wait_for_socket(pgconn.socket)
    while True:
        while pgconn.is_busy():
            left = end - monotonic()
            if left <= 0.0 or ready.wait(left, write=False) is None:
                return
            pgconn.consume_input()
        if pgconn.get_result() is None:
            return


abandoned = Abandoned()
atexit.register(abandoned.wait)
