"""A PostgreSQL connection that receives and sends notifications of state changes."""

from __future__ import annotations

import selectors
import socket
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from time import monotonic
from typing import Any

from cbstore_sql.deadline import within
from cbstore_sql.stores.sql.connections.drive import drive
from cbstore_sql.stores.sql.connections.libpq import PgSession
from cbstore_sql.stores.sql.operations import Query, Values
from cbstore_sql.stores.sql.retry import StatementOutcome, classify_error
from cbstore_sql.stores.sql.schema.table import check_identifier
from cbstore_sql.stores.sql.statements.statement import TEXT, Statement

ANSWER_SECONDS = 5.0
"""Seconds to wait for an answer of the server. Some networks acknowledge packets that they then drop."""

_MAX_CHANNEL_BYTES = 63

# No generation in the table has more digits.
_MAX_DIGITS = 19

_NOTIFY = Statement("SELECT pg_notify($1, $2)", [("channel", TEXT), ("payload", TEXT)])
_CHANNELS = Statement("SELECT pg_listening_channels()", (), [TEXT])


class NotDeliveredError(Exception):
    """Raised if this session did not receive a notification that another session sent."""


class NotListeningError(Exception):
    """Raised if a session no longer listens for notifications, for example because of a pooler."""


def channel_of(schema: str) -> str:
    """Return the name of the notification channel for the breakers of one schema.

    Args:
        schema: The PostgreSQL schema of the breaker table.

    Raises:
        ConfigurationError: The schema is not a plain name; see `check_identifier`.
    """
    # Two long schema names may give the same channel. Then a notification only causes one unnecessary read.
    return f"cbstore_{check_identifier('schema', schema)}"[:_MAX_CHANNEL_BYTES]


@lru_cache(maxsize=4096)
def digest_of(namespace: str, name: str) -> str:
    """Compute the text that stands for a breaker in a notification: 24 characters that do not reveal the name.

    Args:
        namespace: The namespace of the breaker.
        name: The name of the breaker.
    """
    return blake2b(f"{namespace}\0{name}".encode(), digest_size=12).hexdigest()


def newer_names(payloads: Iterable[str], namespace: str, generations: Mapping[str, int]) -> list[str]:
    """Return the names of the breakers that have changed since this process read them, according to notifications.

    A breaker has changed if a notification gives a higher generation (a number that grows with each state change).

    Args:
        payloads: The texts of the notifications. Each holds a digest of a breaker (see `digest_of`), a space and a
            generation; other texts are ignored.
        namespace: The namespace of the breakers.
        generations: The generation that this process knows of each breaker, by name.
    """
    told: dict[str, int] = {}
    for payload in payloads:
        digest, _, generation = payload.partition(" ")
        # Every role that may connect to the database may send any text on the channel.
        if generation.isdecimal() and len(generation) <= _MAX_DIGITS:
            told[digest] = max(int(generation), told.get(digest, 0))
    return [name for name, known in generations.items() if told.get(digest_of(namespace, name), 0) > known]


def is_impossible(error: BaseException) -> bool:
    """Return whether an error shows that notifications cannot work with this server or proxy, however often one tries.

    For example, a standby refuses LISTEN, and a transaction pooler loses notifications.

    Args:
        error: The error that the attempt to listen raised.
    """
    return isinstance(error, NotDeliveredError) or classify_error(error) is StatementOutcome.READ_ONLY


class Channel:
    """A database session that sends notifications and, after `listen`, receives them.

    Args:
        driver: A psycopg connection that no other object uses.
        name: The name of the notification channel; see `channel_of`.
        wake: A non-blocking socket that interrupts `wait`: the method returns when the socket becomes readable.
    """

    def __init__(self, driver: Any, name: str, wake: socket.socket) -> None:
        self._driver = driver
        self._name = name
        self._wake = wake
        self._received: deque[str] = deque()
        driver.rollback()
        driver.autocommit = True
        # No statement is prepared: a pooler may send the next statement to a server session that did not prepare it.
        self._session = PgSession(driver, None)
        driver.add_notify_handler(lambda notification: self._received.append(notification.payload))

    def listen(self) -> None:
        """Begin to receive the notifications of the channel.

        Raises:
            LateError: The server did not answer within `ANSWER_SECONDS` seconds.
        """
        self.execute(Query(Statement(f"LISTEN {self._name}"), {}))

    def expect(self, payload: str, seconds: float) -> None:
        """Wait until a notification with a given text arrives.

        Args:
            payload: The text of the notification.
            seconds: The longest time to wait, seconds.

        Raises:
            NotDeliveredError: The notification did not arrive in time.
            NotListeningError: The session does not listen any more.
        """
        deadline = monotonic() + seconds
        while payload not in self._received:
            left = deadline - monotonic()
            if left <= 0:
                raise NotDeliveredError
            self.wait(left)
            self.check()

    def execute(self, query: Query) -> list[Values]:
        """Execute one statement in its own transaction and return the rows.

        Args:
            query: The statement with its parameters.

        Raises:
            LateError: The server did not answer within `ANSWER_SECONDS` seconds.
        """
        with within(ANSWER_SECONDS):
            return drive(self._session, self._session.steps(query, prepare=False))

    def notify(self, payload: str) -> None:
        """Send a notification to all sessions that listen on the channel, including this session.

        Args:
            payload: The text of the notification.
        """
        self.execute(Query(_NOTIFY, {"channel": self._name, "payload": payload}))

    def wait(self, seconds: float) -> None:
        """Wait until the server sends something, until the wake socket is readable, or until the time has passed.

        Args:
            seconds: The longest time to wait, seconds.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._driver, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            selector.select(seconds)
        with suppress(BlockingIOError):
            self._wake.recv(4096)

    def check(self) -> None:
        """Check with a round trip to the server that the session still listens.

        The round trip also receives all notifications that were sent before it.

        Raises:
            NotListeningError: The session does not listen any more.
        """
        if (self._name,) not in self.execute(Query(_CHANNELS, {})):
            raise NotListeningError

    def received(self) -> list[str]:
        """Return the texts of the notifications that arrived since the last call of this method."""
        payloads = list(self._received)
        self._received.clear()
        return payloads
