"""The answer to a statement for which no caller waits: a success that was sent, or a read that was cancelled.

The server answers the statements of a session in their order. So the session reads this answer before the answer to its
next statement.
"""

from __future__ import annotations

from math import inf
from time import monotonic

from cbstore_sql.deadline import remaining
from cbstore_sql.runtime.interrupts import from_signal_handler
from cbstore_sql.stores.sql.connections.socket_wait import SocketWait
from cbstore_sql.stores.sql.connections.wire import Wire
from cbstore_sql.stores.sql.retry import NotSentError, StatementOutcome, classify

_LOST = frozenset({StatementOutcome.GONE, StatementOutcome.UNKNOWN})

# These errors say nothing about the next statement: another session held a lock, or changed the row first.
_PASSING = frozenset({StatementOutcome.BUSY, StatementOutcome.CONFLICT})


class UnreadAnswer:
    """Read, later, the answer to a statement whose caller did not wait, and keep the error if the answer is one.

    Args:
        answer: A generator that waits for the answer; see `PgSession.steps`. It may have yielded already.
        piped: Whether the connection is in pipeline mode, so that another statement may be sent before the answer.

    Attributes:
        piped: See above.
        is_read: Whether the answer is complete.
        error: The error in the answer; ``None`` as long as no error has arrived.
    """

    __slots__ = ("_answer", "_late_at", "error", "is_read", "piped")

    def __init__(self, answer: Wire, *, piped: bool) -> None:
        self._answer = answer
        self.piped = piped
        self.is_read = False
        left = remaining()
        self._late_at = inf if left is None else monotonic() + left
        self.error: Exception | None = None

    def read_arrived(self) -> bool:
        """Read what has arrived, without waiting. The first call of this method only flushes the statement.

        Returns:
            Whether the answer is complete.
        """
        if not self.is_read:
            try:
                next(self._answer)
            except StopIteration:
                self.is_read = True
            except Exception as error:
                if from_signal_handler(error):
                    raise  # the exception is meant for the code that runs now
                # The next statement of the session raises the error.
                self.is_read, self.error = True, error
        return self.is_read

    def is_lost(self, socket: SocketWait) -> bool:
        """Return whether the session has ended, or has not answered by the deadline of the caller that sent.

        Args:
            socket: An object that tells whether the socket of the session is readable.
        """
        readable = socket.wait(0.0, write=False) is not None
        if readable and not self.is_read:
            # After a complete answer, the only message of a server is that it ends the session.
            readable = self.read_arrived() and socket.wait(0.0, write=False) is not None
        if self.error is not None and classify(self.error, sent=True) in _LOST:
            return True
        return readable or (not self.is_read and monotonic() > self._late_at)

    def rest(self) -> Wire:
        """Make a generator that waits until the answer is complete; see `PgSession.steps`.

        Raises:
            NotSentError: The answer is an error that the next statement would probably meet too, for example because
                the server is read-only.
        """
        if not self.is_read:
            try:
                yield from self._answer
            except Exception as error:  # noqa: BLE001 - judged below
                self.error = error
            self.is_read = True
        if self.error is not None and classify(self.error, sent=True) not in _PASSING:
            raise NotSentError(self.error)
