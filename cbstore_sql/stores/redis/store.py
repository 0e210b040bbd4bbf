"""`RedisStore`: a synchronous store that keeps breakers in Redis."""

from __future__ import annotations

import time
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Snapshot, Transition
from cbstore_sql.core.validation import DEFAULT_MAX_BREAKERS
from cbstore_sql.runtime import environment, sansio
from cbstore_sql.stores.dict_protocol import DEFAULT_PROBE_LEASE, ProtocolStore
from cbstore_sql.stores.redis.calls import Call, Send, Transaction
from cbstore_sql.stores.redis.clients import check_client, open_client
from cbstore_sql.stores.redis.connections import Connections, are_usable
from cbstore_sql.stores.redis.listing import read_all
from cbstore_sql.stores.redis.operations import Operations


class RedisStore(ProtocolStore):
    """A store that keeps breakers in Redis 5 or newer, one hash for each breaker.

    All processes that reach the server share the breakers. Each operation is one Lua script, or WATCH, MULTI and EXEC
    if the server cannot run scripts. The hash has the fields and encodings of MassGen's ``RedisStore``, so that both
    stores can share a key while a team migrates. ``codec.py`` describes what happens when MassGen's store writes a
    breaker, and how a damaged hash is read.

    The client should send each command once. By default, redis-py 6 and newer repeats a command whose reply was lost,
    and such a repetition may count one failure twice. The client of `from_url` sends each command once. For another
    client, write ``redis.Redis(…, retry=Retry(NoBackoff(), 0))``. With a client that repeats commands, the ``applied``
    of a `StoreUnavailableError` is usually ``None``: whether the operation had an effect is unknown.

    A Redis user with limited rights needs HGETALL, HSET, PTTL, EXPIRE, PERSIST, TIME, DEL and SETRANGE, and HGET for
    `history`. With ``max_breakers``, the user also needs EXISTS, ZADD, ZCARD, ZSCORE, ZRANGEBYSCORE and ZREM. In
    addition the user needs EVALSHA and SCRIPT LOAD, or WATCH, UNWATCH, MULTI and EXEC.

    The store sends scripts on the connections of the client of `from_url` directly, which takes half the time. Other
    clients send each command through ``execute_command``, so subclasses and instrumentation see the command.

    Args:
        redis_client: A ``redis.Redis`` or ``redis.RedisCluster``, with or without ``decode_responses``. The client
            stays open when the store is closed.
        ttl: Seconds from the last write until the key of a closed breaker expires, from 1 to 10**9. ``None`` means that
            no key expires. The key of an open breaker lives at least this long after the end of the open time. The key
            of a half-open breaker lives at least as long as the probe belongs to its owner.
        key_prefix: The beginning of every key. Keys are ``prefix:name``. In a namespace other than ``"default"``, keys
            are ``prefix@namespace:name``, with the namespace percent-encoded.
        half_open_probe_ttl: The shortest lifetime in seconds of a breaker whose probe is running, from 1 to 10**9.
            ``None`` means ``ttl``. A value below ``ttl`` has no effect.
        namespace: The name that separates the breakers of this application from others on the server; at most 512 bytes
            of UTF-8.
        max_breakers: The largest number of breakers in the namespace, at least 1. An operation that would add one more
            breaker raises `TooManyBreakersError`. ``None`` means no limit. With a limit, a sorted set beside the keys
            holds the names, which costs two more commands when a breaker is added. When the sorted set is full, the
            names of expired breakers are removed. Breakers that MassGen's store made do not count.
        protocol_probe_lease: The seconds for which a probe belongs to its owner if it was claimed through the methods
            of MassGen's stores; at least 0.001. See `ProtocolStore`.

    Raises:
        ConfigurationError: The client is missing or of the wrong kind, or ``ttl``, ``half_open_probe_ttl`` or
            ``max_breakers`` is out of range.
        InvalidNameError: The namespace or the prefix is too long or has characters that a store cannot keep.
        InvalidPolicyError: ``protocol_probe_lease`` is out of range.
    """

    def __init__(
        self,
        redis_client: Any,
        ttl: int | None = 3600,
        key_prefix: str = "massgen:cb",
        half_open_probe_ttl: int | None = None,
        *,
        namespace: str = "default",
        max_breakers: int | None = DEFAULT_MAX_BREAKERS,
        protocol_probe_lease: float = DEFAULT_PROBE_LEASE,
    ) -> None:
        super().__init__(namespace, protocol_probe_lease=protocol_probe_lease)
        check_client(redis_client, type(self).__name__, awaited=False)
        self._operations = Operations(
            redis_client, ttl, key_prefix, half_open_probe_ttl, namespace, max_breakers=max_breakers
        )
        self._client = redis_client
        self._key_prefix = key_prefix
        # Code that was written for MassGen's store reads this attribute.
        self._ttl = ttl
        self._limits: dict[str, Any] = {"half_open_probe_ttl": half_open_probe_ttl, "max_breakers": max_breakers}
        self._own: Connections | None = None

    @classmethod
    def from_url(cls, url: str, **kwargs: Any) -> RedisStore:
        """Make a store with a new Redis client for a URL. Closing the store closes the client.

        The client sends each command once, so that no failure is counted twice.

        Args:
            url: ``redis://…``, ``rediss://…`` or ``unix://…``. The query of the URL may contain options of redis-py,
                such as ``socket_timeout`` in seconds.
            **kwargs: The arguments of the class, without ``redis_client``.

        Raises:
            ConfigurationError: The URL is invalid, or an argument is out of range. The message does not contain the
                URL.
        """
        store = cls(open_client(Redis, url, Retry(NoBackoff(), 0)), **kwargs)
        pool = store._client.connection_pool
        store._own = Connections(pool) if are_usable(pool) else None
        return store

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key_prefix={self._key_prefix!r}, namespace={self.namespace!r})"

    @classmethod
    def from_env(cls, **kwargs: Any) -> RedisStore:
        """Make a store from the environment variables ``CBSTORE_URL`` and ``CBSTORE_NAMESPACE``; see `from_url`.

        Args:
            **kwargs: The arguments of the class, without ``redis_client``. ``namespace`` is used in place of
                ``CBSTORE_NAMESPACE``.

        Raises:
            ConfigurationError: ``CBSTORE_URL`` is not set or cannot be used.
        """
        return cls.from_url(
            environment.required_url(), **{"namespace": environment.namespace_name("default"), **kwargs}
        )

    def read_all(self) -> list[tuple[str, Snapshot]]:
        """Return all breakers of all namespaces whose keys begin with the key prefix.

        Returns:
            Pairs of namespace and snapshot, ordered by namespace and name.

        Raises:
            ConfigurationError: The client is for a cluster, whose keys cannot be listed in one search.
        """
        return sansio.run(read_all(self._client, self._key_prefix), self._do)

    def close(self) -> None:
        """Close the client if the store made the client. A client that the caller passed stays open."""
        if self._own is not None:
            self._client.connection_pool.disconnect()

    def _for_namespace(self, namespace: str) -> RedisStore:
        """Return a store for another namespace with the same client; `close` of the returned store does nothing."""
        return type(self)(self._client, self._ttl, self._key_prefix, namespace=namespace, **self._limits)

    def _read(self, name: str, now: float | None) -> Snapshot:
        return sansio.run(self._operations.read(name, now), self._do)

    def _apply(self, command: Command) -> Transition | None:
        return sansio.run(self._operations.apply(command), self._do)

    def _check_writable(self) -> None:
        sansio.run(self._operations.check_writable(), self._do)

    def _history(self, name: str) -> str:
        return sansio.run(self._operations.history(name), self._do)

    def _delete(self, name: str) -> None:
        sansio.run(self._operations.delete(name), self._do)

    def _do(self, wish: Call | Send | Transaction) -> Any:
        if isinstance(wish, Send):
            return wish.on(self._client) if self._own is None else self._own.send(wish.command)
        if self._own is not None:
            self._own.give_back()
        if isinstance(wish, Call):
            return wish.on(self._client)
        time.sleep(wish.pause)
        with self._client.pipeline(transaction=True) as pipe:
            return sansio.run(wish.steps, lambda call: call.on(pipe))
