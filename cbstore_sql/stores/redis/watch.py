"""The operations for servers without scripting: WATCH a key, run the rule in Python, write if the key is unchanged."""

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
"""Returns the lifetime of a key in seconds, from its row and the clock; ``None`` is for ever."""


def read(key: bytes, now: float | None) -> RedisSteps[tuple[Row, float]]:
    """Return one breaker and the clock, which is read after the row so that no time in the row is later."""
    row = codec.from_hash((yield _hash_of(key)))
    return row, (yield from _server_time()) if now is None else now


def apply(key: bytes, command: Command, lifetime: Lifetime, *, adds: bool) -> RedisSteps[Result]:
    """Execute one command.

    Args:
        key: The key of the breaker.
        command: The command.
        lifetime: Returns how long the key lives.
        adds: Whether the command may create the key.

    Raises:
        StoreConflictError: Other writers won every retry; nothing was written.
        redis.exceptions.RedisError: redis-py failed; after a lost connection the write may have been applied.
    """
    around = sys.exc_info()[1]
    pause = 0.0
    for attempt in range(1, RETRIES + 2):
        try:
            result: Result = yield Transaction(_attempt(key, command, lifetime, adds=adds), pause)
        except WatchError as error:
            # redis-py raises the same error when the connection broke; then the write may have been applied.
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
