"""The names of the breakers in one namespace, to limit their number.

The index is a sorted set beside the breakers' keys. It is read only before a breaker is added. A score is the server's
clock when the key was last known to exist: keys expire by themselves, and expired ones are removed from the index when
it is full. It uses single commands on single keys, so it works on a cluster too.
"""

from __future__ import annotations

from redis.client import NEVER_DECODE

from cbstore_sql.core.validation import check_max_breakers
from cbstore_sql.errors import TooManyBreakersError
from cbstore_sql.stores.redis.calls import Call, RedisSteps

CHECKED = 10
"""How many keys of a full index are checked before another breaker is added."""

SETTLED = 5.0
"""Seconds for which a key that existed counts as existing. An added breaker is written within this time."""


class NameIndex:
    """The index of one namespace.

    Args:
        prefix: The prefix of the namespace's keys.
        namespace: The name of the namespace, for messages.
        max_breakers: See `RedisStore`.

    Raises:
        ConfigurationError: See `check_max_breakers`.
    """

    def __init__(self, prefix: str, namespace: str, max_breakers: int | None) -> None:
        # Names of breakers contain no NUL. A Redis user with access to the breakers' keys has access to this key.
        self._key = f"{prefix}:\0names".encode()
        self._namespace = namespace
        self._max_breakers = check_max_breakers(max_breakers)

    @property
    def is_unbounded(self) -> bool:
        """Whether the namespace has no limit; then no name is stored."""
        return self._max_breakers is None

    def enter(self, breaker: bytes, now: float) -> RedisSteps[None]:
        """Add a breaker that is about to be created.

        The check and the addition are separate commands: concurrent callers may exceed the limit by one each.

        Args:
            breaker: The key of the breaker, which does not exist yet.
            now: The server's clock, Unix seconds.

        Raises:
            TooManyBreakersError: The namespace is full.
        """
        if self._max_breakers is None:
            return
        if (yield from self._is_full(self._max_breakers, breaker)):
            yield from self._drop_those_gone(now)
            if (yield from self._is_full(self._max_breakers, breaker)):
                raise TooManyBreakersError(self._namespace, self._max_breakers)
        yield Call("zadd", (self._key, {breaker: now}))

    def leave(self, breaker: bytes) -> RedisSteps[None]:
        """Remove a breaker whose key was deleted."""
        if self._max_breakers is not None:
            yield Call("zrem", (self._key, breaker))

    def _is_full(self, bound: int, breaker: bytes) -> RedisSteps[bool]:
        """Return whether there is no room for a breaker. A breaker that is in the index already has its place."""
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
