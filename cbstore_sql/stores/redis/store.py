"""`RedisStore`: breakers in Redis."""

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
from cbstore_sql.stores.redis.calls import Call, Script, Transaction
from cbstore_sql.stores.redis.clients import check_client, open_client, register_scripts
from cbstore_sql.stores.redis.listing import read_all
from cbstore_sql.stores.redis.operations import Operations


class RedisStore(ProtocolStore):
    """Keeps breakers in Redis 5 or newer, one hash each, shared by all processes that reach the server.

    Each operation is one Lua script, or WATCH, MULTI and EXEC if the server has no scripting. The hash has the fields
    and encodings of MassGen's ``RedisStore``, so that both can share a key while a team migrates. ``codec.py``
    describes what a foreign write does to permits, and how a damaged hash is read.

    Counting is not idempotent, so the client should send each command once, as the client of `from_url` does:
    ``redis.Redis(…, retry=Retry(NoBackoff(), 0))``. By default redis-py 6 and newer repeats a command whose reply was
    lost, which may count one failure twice. With such a client, errors rarely say that an operation had no effect
    (``applied`` of `StoreUnavailableError`).

    A Redis user with limited rights needs HGETALL, HSET, PTTL, EXPIRE, PERSIST, TIME, DEL and SETRANGE; for
    ``max_breakers`` EXISTS, ZADD, ZCARD, ZSCORE, ZRANGEBYSCORE and ZREM; and either EVALSHA and SCRIPT LOAD, or
    WATCH, UNWATCH, MULTI and EXEC.

    Args:
        redis_client: A ``redis.Redis`` or ``redis.RedisCluster``, with or without ``decode_responses``. Closing the
            store leaves it open.
        ttl: Seconds after its last write until a closed breaker expires, from 1 to 10**9; ``None`` means never. An
            open breaker lives at least this long after its open time, a half-open one at least as long as its lease.
        key_prefix: The beginning of every key. Keys are ``prefix:name``; in a namespace other than ``"default"`` they
            are ``prefix@namespace:name``, with the namespace percent-encoded.
        half_open_probe_ttl: Seconds for which a breaker with a running probe lives at least. ``None`` means ``ttl``;
            less than ``ttl`` has no effect.
        namespace: See `Store`.
        max_breakers: How many breakers the namespace may hold, 1 or more. An operation that would add another one
            raises `TooManyBreakersError`. A sorted set beside the keys holds the names, which costs two more commands
            when a breaker is added. Expired breakers are removed from it when it is full. Breakers made by a foreign
            client are not counted. ``None`` means no limit and no sorted set.
        protocol_probe_lease: See `ProtocolStore`, seconds.

    Raises:
        ConfigurationError: The client is missing, or a number of seconds or breakers is out of range.
        InvalidNameError: The namespace or the prefix is not valid text; see `Store`.
        InvalidPolicyError: See `ProtocolStore`.
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
        self._scripts = register_scripts(redis_client)
        self._key_prefix = key_prefix
        # Code written for MassGen's store reads it.
        self._ttl = ttl
        self._limits: dict[str, Any] = {"half_open_probe_ttl": half_open_probe_ttl, "max_breakers": max_breakers}
        self._owned = False

    @classmethod
    def from_url(cls, url: str, **kwargs: Any) -> RedisStore:
        """Make a store with a new client, which sends each command once and is closed with the store.

        Args:
            url: ``redis://…``, ``rediss://…`` or ``unix://…``; its query may contain options of redis-py, such
                as ``socket_timeout`` in seconds.
            **kwargs: The arguments of the class, without the client.

        Raises:
            ConfigurationError: The URL is invalid. The message does not contain it.
        """
        store = cls(open_client(Redis, url, Retry(NoBackoff(), 0)), **kwargs)
        store._owned = True
        return store

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key_prefix={self._key_prefix!r}, namespace={self.namespace!r})"

    @classmethod
    def from_env(cls, **kwargs: Any) -> RedisStore:
        """Make the store that the environment variables ``CBSTORE_URL`` and ``CBSTORE_NAMESPACE`` name; see `from_url`.

        Args:
            **kwargs: The arguments of the class, without the client; they override the environment.

        Raises:
            ConfigurationError: ``CBSTORE_URL`` is not set or cannot be used.
        """
        return cls.from_url(
            environment.required_url(), **{"namespace": environment.namespace_name("default"), **kwargs}
        )

    def read_all(self) -> list[tuple[str, Snapshot]]:
        """Return all breakers of all namespaces under the key prefix, each as (namespace, snapshot), in order.

        Raises:
            ConfigurationError: The client is for a cluster.
        """
        return sansio.run(read_all(self._client, self._key_prefix), self._do)

    def close(self) -> None:
        """Close the client if the store made it. A client that you passed stays open."""
        if self._owned:
            self._client.connection_pool.disconnect()

    def _for_namespace(self, namespace: str) -> RedisStore:
        """Return a store for another namespace over the same client, which stays this store's to close."""
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

    def _do(self, wish: Call | Script | Transaction) -> Any:
        if isinstance(wish, Script):
            return self._scripts[wish.operation]([wish.key], wish.arguments)
        if isinstance(wish, Call):
            return wish.on(self._client)
        time.sleep(wish.pause)
        with self._client.pipeline(transaction=True) as pipe:
            return sansio.run(wish.steps, lambda call: call.on(pipe))
