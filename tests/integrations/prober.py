"""One process that makes one call through another library's breaker.

It runs as ``python -m tests.integrations.prober KIND URL NAME``.

It prints ``ready``, waits for a line, calls, and prints ``refused``, or ``admitted`` from inside the call. An admitted
call lasts until another line arrives.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import circuitbreaker
import pybreaker
import redis

from cbstore_sql import SqlStore
from cbstore_sql.integrations.circuitbreaker import SharedCircuitBreaker
from cbstore_sql.integrations.pybreaker import CircuitSharedStorage

RESET_TIMEOUT = 0.001


Guarded = Callable[[Callable[[], object]], object]


def _pybreaker(storage: pybreaker.CircuitBreakerStorage) -> Guarded:
    return pybreaker.CircuitBreaker(fail_max=1, reset_timeout=RESET_TIMEOUT, state_storage=storage).call


@contextmanager
def guarded(kind: str, url: str, name: str) -> Iterator[Guarded]:
    """Return a function that makes guarded calls."""
    if kind == "pybreaker-redis":
        with redis.Redis.from_url(url) as client:
            yield _pybreaker(pybreaker.CircuitRedisStorage(pybreaker.STATE_CLOSED, client, name, name))
        return
    with SqlStore(url) as store:
        if kind == "pybreaker":
            yield _pybreaker(CircuitSharedStorage(store, name, reset_timeout=RESET_TIMEOUT))
            return
        shared = type("Shared", (SharedCircuitBreaker,), {"STORE": store, "OPTIONS": {"store_timeout": 60.0}})
        breaker = shared(failure_threshold=1, recovery_timeout=RESET_TIMEOUT, name=name)
        yield lambda call: breaker.decorate(call)()
        breaker.close()


def tell(word: str) -> None:
    """Write a line to the process that started this one."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> None:
    """Make the call."""

    def call() -> None:
        tell("admitted")
        sys.stdin.readline()

    with guarded(*sys.argv[1:]) as make_call:
        tell("ready")
        sys.stdin.readline()
        try:
            make_call(call)
        except (pybreaker.CircuitBreakerError, circuitbreaker.CircuitBreakerError):
            tell("refused")


if __name__ == "__main__":
    main()
