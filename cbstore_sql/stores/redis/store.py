"""The store on Redis."""

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
    """Breakers in Redis hashes, one key each, shared by everyone who can reach the server.

    Each operation is one Lua script (EVALSHA; the first one on a server sends the text), or WATCH, MULTI and EXEC
    where the server has no scripting. Redis 5 or newer. The hash keeps the fields and encodings of MassGen's
    ``RedisStore``, so that both can share a key while a team migrates; what a foreign write does to permits, and how
    a damaged hash reads, is told in ``codec.py``.

    Counting is not idempotent, so the client should send each command once:
    ``redis.Redis(…, retry=Retry(NoBackoff(), 0))``, as `from_url` does. By default redis-py since version 6 repeats a
    command whose reply was lost, and may so count one failure twice; what such a client could not do is hardly ever
    known to have had no effect (``applied`` of `StoreUnavailableError`).

    A user with limited rights needs HGETALL, HSET, PTTL, EXPIRE, PERSIST, TIME, DEL and SETRANGE; with
    ``max_breakers`` EXISTS, ZADD, ZCARD, ZSCORE, ZRANGEBYSCORE and ZREM; and with them EVALSHA and SCRIPT LOAD, or
    WATCH, UNWATCH, MULTI and EXEC where there is no scripting.

    Args:
        redis_client: A ``redis.Redis`` or ``redis.RedisCluster``, with or without ``decode_responses``. It stays open.
        ttl: Seconds until a closed breaker that nobody writes to is forgotten, from 1 to 10**9; ``None`` means never.
            An open breaker outlives its open time by at least this, a half-open one lives at least its probe's lease.
        key_prefix: What every key begins with. Keys are ``prefix:name``, in another namespace than ``"default"``
            ``prefix@namespace:name`` with the namespace percent-encoded.
        half_open_probe_ttl: Seconds a breaker with a probe under way lives at least; ``None`` means ``ttl``, and less
            than that has no effect.
        namespace: See `Store`.
        max_breakers: How many breakers the namespace may hold, at least 1; an operation that would add one more
            raises `TooManyBreakersError`. They are counted in a sorted set beside their keys, which takes two more
            commands when a breaker is added. Those whose keys have expired are noticed once it is full, a few with
            each breaker that is to be added; those made by a foreign client are not counted. ``None`` means any
            number, and no sorted set.
        protocol_probe_lease: See `ProtocolStore`, seconds.

    Raises:
        ConfigurationError: There is no client, or a number of seconds or breakers is none.
        InvalidNameError: See `Store`; the same holds for the prefix.
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
        """Open a store with a client of its own, which sends each command once and is closed with the store.

        Args:
            url: ``redis://…``, ``rediss://…`` or ``unix://…``; its query may set redis-py's options, such as
                ``socket_timeout`` in seconds.
            **kwargs: What the class takes, without the client.

        Raises:
            ConfigurationError: It is no such URL. The message does not repeat it.
        """
        store = cls(open_client(Redis, url, Retry(NoBackoff(), 0)), **kwargs)
        store._owned = True
        return store

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key_prefix={self._key_prefix!r}, namespace={self.namespace!r})"

    @classmethod
    def from_env(cls, **kwargs: Any) -> RedisStore:
        """Open the store that ``CBSTORE_URL`` and ``CBSTORE_NAMESPACE`` name; see `from_url`.

        Args:
            **kwargs: What the class takes, without the client; they win over the environment.

        Raises:
            ConfigurationError: ``CBSTORE_URL`` is not set or cannot be used.
        """
        return cls.from_url(
            environment.required_url(), **{"namespace": environment.namespace_name("default"), **kwargs}
        )

    def read_all(self) -> list[tuple[str, Snapshot]]:
        """Return every breaker of every namespace under the key prefix, with its namespace, in order.

        Raises:
            ConfigurationError: The client is a cluster's.
        """
        return sansio.run(read_all(self._client, self._key_prefix), self._do)

    def close(self) -> None:
        """Close the client if the store opened it; one that was handed over is left as it is."""
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
