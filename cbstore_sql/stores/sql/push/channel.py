"""One connection that listens for changes of state and tells of them, on PostgreSQL."""

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
from cbstore_sql.stores.sql.connections.libpq import PgSession, drive
from cbstore_sql.stores.sql.operations import Query, Values
from cbstore_sql.stores.sql.retry import StatementOutcome, classify_error
from cbstore_sql.stores.sql.schema.table import check_identifier
from cbstore_sql.stores.sql.statements.statement import TEXT, Statement

ANSWER_SECONDS = 5.0
"""Seconds after which a server that does not answer is given up: some networks acknowledge what they throw away."""

_MAX_CHANNEL_BYTES = 63

# Of any number in a column of the table.
_MAX_DIGITS = 19

_NOTIFY = Statement("SELECT pg_notify($1, $2)", [("channel", TEXT), ("payload", TEXT)])
_CHANNELS = Statement("SELECT pg_listening_channels()", (), [TEXT])


class NotDeliveredError(Exception):
    """What was sent to this session over another one did not arrive."""


class NotListeningError(Exception):
    """The session is not the one that was told to listen."""


def channel_of(schema: str) -> str:
    """Return the channel of all breakers of one schema.

    Raises:
        ConfigurationError: See `check_identifier`.
    """
    # Schemas that become the same here only cause a read too many.
    return f"cbstore_{check_identifier('schema', schema)}"[:_MAX_CHANNEL_BYTES]


@lru_cache(maxsize=4096)
def digest_of(namespace: str, name: str) -> str:
    """Return what stands for a breaker in a notification: its size is bounded and it does not reveal the name."""
    return blake2b(f"{namespace}\0{name}".encode(), digest_size=12).hexdigest()


def newer_names(payloads: Iterable[str], namespace: str, generations: Mapping[str, int]) -> list[str]:
    """Return the known breakers of which a notification tells a higher generation."""
    told: dict[str, int] = {}
    for payload in payloads:
        digest, _, generation = payload.partition(" ")
        # Whoever may connect to the database may notify.
        if generation.isdecimal() and len(generation) <= _MAX_DIGITS:
            told[digest] = max(int(generation), told.get(digest, 0))
    return [name for name, known in generations.items() if told.get(digest_of(namespace, name), 0) > known]


def is_impossible(error: BaseException) -> bool:
    """Whether there is no use in trying again soon: a standby cannot listen, a transaction pooler loses everything."""
    return isinstance(error, NotDeliveredError) or classify_error(error) is StatementOutcome.READ_ONLY


class Channel:
    """A session that listens.

    Args:
        driver: A psycopg connection for this channel alone.
        name: See `channel_of`.
        wake: Becomes readable when waiting shall end; does not block.
    """

    def __init__(self, driver: Any, name: str, wake: socket.socket) -> None:
        self._driver = driver
        self._name = name
        self._wake = wake
        self._received: deque[str] = deque()
        driver.rollback()
        driver.autocommit = True
        # Behind a pooler the next statement may come to a server that never prepared it.
        self._session = PgSession(driver, None)
        driver.add_notify_handler(lambda notification: self._received.append(notification.payload))

    def listen(self) -> None:
        """Begin to listen; committed when it returns."""
        self.execute(Query(Statement(f"LISTEN {self._name}"), {}))

    def expect(self, payload: str, seconds: float) -> None:
        """Wait for what another session told.

        Args:
            payload: What it told.
            seconds: How long it may take.

        Raises:
            NotDeliveredError: It did not arrive.
        """
        deadline = monotonic() + seconds
        while payload not in self._received:
            left = deadline - monotonic()
            if left <= 0:
                raise NotDeliveredError
            self.wait(left)
            self.check()

    def execute(self, query: Query) -> list[Values]:
        """Execute one statement in its own transaction and return its rows."""
        with within(ANSWER_SECONDS):
            return drive(self._session, self._session.steps(query, prepare=False))

    def notify(self, payload: str) -> None:
        """Tell the sessions that listen, this one included."""
        self.execute(Query(_NOTIFY, {"channel": self._name, "payload": payload}))

    def wait(self, seconds: float) -> None:
        """Wait until the server or the application has something to say, or some seconds have passed."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._driver, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            selector.select(seconds)
        with suppress(BlockingIOError):
            self._wake.recv(4096)

    def check(self) -> None:
        """Make a round trip, with which all notifications so far arrive.

        Raises:
            NotListeningError: The session does not listen any more.
        """
        if (self._name,) not in self.execute(Query(_CHANNELS, {})):
            raise NotListeningError

    def received(self) -> list[str]:
        """Take the payloads that arrived."""
        payloads = list(self._received)
        self._received.clear()
        return payloads
