"""The operations for servers that cannot run Lua scripts.

An operation watches a key, runs the rule in Python, and writes the key if no other client has changed the key.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from redis.client import NEVER_DECODE
from redis.exceptions import WatchError

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Row, Snapshot, Transition
from cbstore_sql.errors import StoreConflictError
from cbstore_sql.runtime.backoff import ExponentialBackoff
from cbstore_sql.stores.redis import codec
from cbstore_sql.stores.redis.calls import Call, Calls, Missing, RedisSteps, Result, Transaction

RETRIES = 50
_BACKOFF = ExponentialBackoff(0.002, 0.02, jitter=(0.0, 1.0))
_ENDLESS = -1

Lifetime = Callable[[Row, float], "int | None"]
"""The type of a function that returns the lifetime of a key in seconds, from the row and the clock in Unix seconds.

``None`` means that the key never expires."""


def read(name: str, key: bytes) -> RedisSteps[Snapshot]:
    """Read one breaker without a Lua script; yield the requests to Redis.

    The clock is read after the row, so no time in the row is later than the clock.

    Args:
        name: The breaker's name.
        key: The key of the breaker.

    Returns:
        The snapshot of the breaker; its ``as_of`` is the server's clock.
    """
    row = codec.from_hash((yield hash_of(key)))
    return Snapshot.of(name, row, (yield from _server_time()))


def apply(key: bytes, command: Command, lifetime: Lifetime, *, adds: bool) -> RedisSteps[Result]:
    """Carry out one command without a Lua script, in a transaction with WATCH; yield the requests to Redis.

    If another client changes the key during the transaction, the function starts again, up to 50 times.

    Args:
        key: The key of the breaker.
        command: The command.
        lifetime: A function that returns after how many seconds the key may expire; ``None`` means never.
        adds: Whether the command may create the key.

    Returns:
        The row after the command and the time in Unix seconds; ``None`` if the command had no effect; or `Missing` if
        the key is missing and the command must not create it.

    Raises:
        StoreConflictError: Other clients changed the key during every attempt. Nothing was written.
        redis.exceptions.RedisError: redis-py failed. If the connection was lost, the write may have had an effect.
    """
    around = sys.exc_info()[1]
    pause = 0.0
    for attempt in range(1, RETRIES + 2):
        try:
            result: Result = yield Transaction(_attempt(key, command, lifetime, adds=adds), pause)
        except WatchError as error:
            # redis-py raises the same error if the connection broke. Then the write may have had an effect.
            if error.__context__ is not None and error.__context__ is not around:
                raise error.__context__ from None
        else:
            return result
        pause = _BACKOFF.after(attempt - 1)
    what = "increment failure count" if command.operation == "increment_failure" else command.operation
    raise StoreConflictError(f"Failed to atomically {what} for {command.name!r} after {RETRIES} retries")


def _attempt(key: bytes, command: Command, lifetime: Lifetime, *, adds: bool) -> Calls[Result]:
    yield Call("watch", (key,))
    raw = yield hash_of(key)
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
        # A command that only counts a failure never shortens the lifetime of the key.
        yield Call("expire", (key, seconds))
    yield Call("execute")
    return Transition.of(command.name, row, now)


def hash_of(key: bytes) -> Call:
    """Make a request that reads all fields of a breaker's hash.

    Args:
        key: The key of the breaker.
    """
    # A damaged hash may hold bytes that the client cannot decode.
    return Call("execute_command", ("HGETALL", key), {NEVER_DECODE: True})


def _server_time() -> Calls[float]:
    seconds, micros = yield Call("time")
    return float(seconds + micros / 1_000_000)
