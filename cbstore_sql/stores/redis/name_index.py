"""The names of the breakers in one namespace, to limit the number of breakers.

The index is a sorted set beside the breakers' keys. The store reads the index only before it adds a breaker. The score
of a name in the sorted set is the last time at which the breaker's key was known to exist. Breakers' keys expire
without a command, so their names stay. When the index is full, the names of expired keys are removed. The index uses
single commands on single keys, so it also works on a cluster.
"""

from __future__ import annotations

from redis.client import NEVER_DECODE

from cbstore_sql.core.validation import check_max_breakers
from cbstore_sql.errors import TooManyBreakersError
from cbstore_sql.stores.redis.calls import Call, RedisSteps

CHECKED = 10
"""The number of keys that are checked when a breaker is added to a full index."""

SETTLED = 5.0
"""Seconds for which the index assumes that a key exists, after the last moment when the key was known to exist.

After a name is added to the index, the store writes the breaker's key within this time."""


class NameIndex:
    """A list of the names of the breakers in one namespace, which limits the number of breakers.

    Its methods yield requests to Redis; the store sends them.

    Args:
        prefix: The beginning of the namespace's keys.
        namespace: The name of the namespace, for the error message.
        max_breakers: The largest number of breakers, at least 1. ``None`` means no limit.

    Raises:
        ConfigurationError: ``max_breakers`` is out of range.
    """

    def __init__(self, prefix: str, namespace: str, max_breakers: int | None) -> None:
        # Names of breakers contain no NUL. A Redis user with access to the breakers' keys has access to this key.
        self._key = f"{prefix}:\0names".encode()
        self._namespace = namespace
        self._max_breakers = check_max_breakers(max_breakers)

    @property
    def is_unbounded(self) -> bool:
        """Whether the number of breakers has no limit. Then the index stores no names."""
        return self._max_breakers is None

    def enter(self, breaker: bytes, now: float) -> RedisSteps[None]:
        """Check that the namespace has room for a new breaker, and add the breaker to the index.

        The store calls this method before it creates the breaker. The check and the addition are separate commands. So
        if several callers add breakers at the same time, each caller may exceed the limit by one breaker.

        Args:
            breaker: The key of the breaker. The key does not exist yet.
            now: The server's clock, Unix seconds.

        Raises:
            TooManyBreakersError: The namespace is full, also after the names of expired breakers were removed.
        """
        if self._max_breakers is None:
            return
        if (yield from self._is_full(self._max_breakers, breaker)):
            yield from self._drop_those_gone(now)
            if (yield from self._is_full(self._max_breakers, breaker)):
                raise TooManyBreakersError(self._namespace, self._max_breakers)
        yield Call("zadd", (self._key, {breaker: now}))

    def leave(self, breaker: bytes) -> RedisSteps[None]:
        """Remove a breaker from the index. The store calls this method after it has deleted the breaker.

        Args:
            breaker: The key of the breaker.
        """
        if self._max_breakers is not None:
            yield Call("zrem", (self._key, breaker))

    def _is_full(self, bound: int, breaker: bytes) -> RedisSteps[bool]:
        """Return whether there is no room for a breaker. A breaker in the index always has room."""
        if (yield Call("zcard", (self._key,))) < bound:
            return False
        return (yield Call("zscore", (self._key, breaker))) is None

    def _drop_those_gone(self, now: float) -> RedisSteps[None]:
        query = ("ZRANGEBYSCORE", self._key, "-inf", now - SETTLED, "LIMIT", 0, CHECKED)
        for breaker in (yield Call("execute_command", query, {NEVER_DECODE: True})):
            if (yield Call("exists", (breaker,))):
                yield Call("zadd", (self._key, {breaker: now}), {"xx": True})
            else:
                yield Call("zrem", (self._key, breaker))
