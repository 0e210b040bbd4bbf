"""The same operations for servers without scripting: watch the key, run the rule here, write if nobody else did."""

from __future__ import annotations

import sys
from collections.abc import Callable

from redis.client import NEVER_DECODE
from redis.exceptions import WatchError

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Row
from cbstore_sql.errors import StoreConflictError
from cbstore_sql.runtime.backoff import ExponentialBackoff
from cbstore_sql.stores.redis import codec
from cbstore_sql.stores.redis.calls import Call, Calls, Missing, RedisSteps, Result, Transaction

RETRIES = 50
_BACKOFF = ExponentialBackoff(0.002, 0.02, jitter=(0.0, 1.0))
_ENDLESS = -1

Lifetime = Callable[[Row, float], "int | None"]
"""From a row and the clock to the seconds its key shall live; ``None`` is for ever."""


def read(key: bytes, now: float | None) -> RedisSteps[tuple[Row, float]]:
    """Return one breaker and the clock, which is read after it: nothing in the row is later."""
    row = codec.from_hash((yield _hash_of(key)))
    return row, (yield from _server_time()) if now is None else now


def apply(key: bytes, command: Command, lifetime: Lifetime, *, adds: bool) -> RedisSteps[Result]:
    """Carry out one command; ``adds`` says whether it may make a key.

    Raises:
        StoreConflictError: Other writers won every repetition; nothing was written.
        redis.exceptions.RedisError: What redis-py raises; after a lost connection it is not known what was written.
    """
    around = sys.exc_info()[1]
    pause = 0.0
    for attempt in range(1, RETRIES + 2):
        try:
            result: Result = yield Transaction(_attempt(key, command, lifetime, adds=adds), pause)
        except WatchError as error:
            # redis-py calls it the same when the connection broke; then the write may have been made.
            if error.__context__ is not None and error.__context__ is not around:
                raise error.__context__ from None
        else:
            return result
        pause = _BACKOFF.after(attempt - 1)
    what = "increment failure count" if command.operation == "increment_failure" else command.operation
    raise StoreConflictError(f"Failed to atomically {what} for {command.name!r} after {RETRIES} retries")


def _attempt(key: bytes, command: Command, lifetime: Lifetime, *, adds: bool) -> Calls[Result]:
    yield Call("watch", (key,))
    raw = yield _hash_of(key)
    clock = yield from _server_time()
    row = command.apply_to(codec.from_hash(raw), clock)
    if row is None:
        return None
    if not raw and not adds:
        return Missing(clock)
    now = command.clock(clock)
    left = yield Call("pttl", (key,))
    seconds = lifetime(row, now)
    yield Call("multi")
    yield Call("hset", (key,), {"mapping": codec.to_hash(row)})
    if seconds is None:
        yield Call("persist", (key,))
    elif command.operation != "increment_failure" or (left != _ENDLESS and left < seconds * 1000):
        # A count alone never takes time from the key.
        yield Call("expire", (key, seconds))
    yield Call("execute")
    return row, now


def _hash_of(key: bytes) -> Call:
    # A damaged hash may hold bytes that the client's own decoding would choke on.
    return Call("execute_command", ("HGETALL", key), {NEVER_DECODE: True})


def _server_time() -> Calls[float]:
    seconds, micros = yield Call("time")
    return float(seconds + micros / 1_000_000)
