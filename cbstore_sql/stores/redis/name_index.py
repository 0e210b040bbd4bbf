"""The register of a namespace: which breakers it holds, so that their number can be bounded.

A sorted set beside the breakers' keys, asked only when a breaker is about to be added. Its scores are the server's
clock when a key was last known to be there: keys expire by themselves, which is noticed when the register is full.
Single commands on single keys, so that it serves a cluster as well.
"""

from __future__ import annotations

from redis.client import NEVER_DECODE

from cbstore_sql.core.validation import check_max_breakers
from cbstore_sql.errors import TooManyBreakersError
from cbstore_sql.stores.redis.calls import Call, RedisSteps

CHECKED = 10
"""How many keys of a full register are looked up when one more is to be added."""

SETTLED = 5.0
"""Seconds for which a key that was there is taken to be there still; within them an added one is written."""


class NameIndex:
    """Who may enter.

    Args:
        prefix: Of the namespace's keys.
        namespace: What the namespace is called in messages.
        max_breakers: See `RedisStore`.

    Raises:
        ConfigurationError: See `check_max_breakers`.
    """

    def __init__(self, prefix: str, namespace: str, max_breakers: int | None) -> None:
        # No breaker's name has a NUL, and whoever may use the breakers' keys may use this one.
        self._key = f"{prefix}:\0names".encode()
        self._namespace = namespace
        self._max_breakers = check_max_breakers(max_breakers)

    @property
    def is_unbounded(self) -> bool:
        """Whether any number may enter, and nobody is written down."""
        return self._max_breakers is None

    def enter(self, breaker: bytes, now: float) -> RedisSteps[None]:
        """Write a breaker down that is about to be made.

        Those who come at the same moment may be one too many each.

        Args:
            breaker: Its key, which is missing.
            now: The server's clock, Unix seconds.

        Raises:
            TooManyBreakersError: The register is full.
        """
        if self._max_breakers is None:
            return
        if (yield from self._is_full(self._max_breakers, breaker)):
            yield from self._drop_those_gone(now)
            if (yield from self._is_full(self._max_breakers, breaker)):
                raise TooManyBreakersError(self._namespace, self._max_breakers)
        yield Call("zadd", (self._key, {breaker: now}))

    def leave(self, breaker: bytes) -> RedisSteps[None]:
        """Take a breaker out whose key was deleted."""
        if self._max_breakers is not None:
            yield Call("zrem", (self._key, breaker))

    def _is_full(self, bound: int, breaker: bytes) -> RedisSteps[bool]:
        """Whether there is no room for a breaker; one that was written down before has its own."""
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
