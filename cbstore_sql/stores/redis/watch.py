"""The same operations for servers without scripting: watch the key, run the rule here, write if nobody else did."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from typing import Any

from redis.client import NEVER_DECODE
from redis.exceptions import WatchError

from cbstore_sql.commands import Command
from cbstore_sql.errors import StoreConflictError
from cbstore_sql.machine import step
from cbstore_sql.model import Row
from cbstore_sql.stores.redis import codec

RETRIES = 50
_PAUSE = 0.002
_ENDLESS = -1

Lifetime = Callable[[Row, float], "int | None"]
"""From a row and the clock to the seconds its key shall live; ``None`` is for ever."""


def read(client: Any, key: bytes, now: float | None) -> tuple[Row, float]:
    """Return one breaker and the clock, which is read after it: nothing in the row is later."""
    row = _read_row(client, key)
    return row, _server_time(client) if now is None else now


def apply(client: Any, key: bytes, command: Command, lifetime: Lifetime) -> tuple[Row, float] | None:
    """Carry out one command.

    Returns:
        The breaker after it and the clock, or ``None`` where the rule's condition does not hold.

    Raises:
        StoreConflictError: Other writers won every repetition; nothing was written.
        redis.exceptions.RedisError: What redis-py raises; after a lost connection it is not known what was written.
    """
    around = sys.exc_info()[1]
    for attempt in range(RETRIES + 1):
        with client.pipeline(transaction=True) as pipe:
            try:
                return _attempt(pipe, key, command, lifetime)
            except WatchError as error:
                # redis-py calls it the same when the connection broke; then the write may have been made.
                if error.__context__ is not None and error.__context__ is not around:
                    raise error.__context__ from None
        time.sleep(_PAUSE * min(attempt + 1, 10) * random.random())
    what = "increment failure count" if command.operation == "increment_failure" else command.operation
    raise StoreConflictError(f"Failed to atomically {what} for {command.name!r} after {RETRIES} retries")


def _attempt(pipe: Any, key: bytes, command: Command, lifetime: Lifetime) -> tuple[Row, float] | None:
    pipe.watch(key)
    before = _read_row(pipe, key)
    clock = _server_time(pipe)
    row = step(before, command, clock)
    if row is None:
        return None
    now = command.clock(clock)
    left = pipe.pttl(key)
    seconds = lifetime(row, now)
    pipe.multi()
    pipe.hset(key, mapping=codec.to_hash(row))
    if seconds is None:
        pipe.persist(key)
    elif command.operation != "increment_failure" or (left != _ENDLESS and left < seconds * 1000):
        # A count alone never takes time from the key.
        pipe.expire(key, seconds)
    pipe.execute()
    return row, now


def _read_row(client: Any, key: bytes) -> Row:
    # A damaged hash may hold bytes that the client's own decoding would choke on.
    return codec.from_hash(client.execute_command("HGETALL", key, **{NEVER_DECODE: True}))


def _server_time(client: Any) -> float:
    seconds, micros = client.time()
    return float(seconds + micros / 1_000_000)
