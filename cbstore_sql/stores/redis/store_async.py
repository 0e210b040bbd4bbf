"""`AsyncRedisStore`: an asynchronous store that keeps breakers in Redis."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Snapshot, Transition
from cbstore_sql.core.validation import DEFAULT_MAX_BREAKERS
from cbstore_sql.errors import StoreUnavailableError
from cbstore_sql.runtime import environment, sansio
from cbstore_sql.runtime.tasks import InFlight, OneLoop, run_to_completion
from cbstore_sql.stores.base_async import AsyncStore
from cbstore_sql.stores.redis.calls import Call, RedisSteps, Send, T, Transaction
from cbstore_sql.stores.redis.clients import check_client, open_client
from cbstore_sql.stores.redis.connections import AsyncConnections, are_usable
from cbstore_sql.stores.redis.listing import read_all
from cbstore_sql.stores.redis.operations import Operations


class AsyncRedisStore(AsyncStore):
    """An asynchronous store that keeps breakers in Redis, with the same keys and scripts as `RedisStore`.

    If a caller is cancelled, an operation that has begun runs to its end in the background, so the operation leaks no
    connection and its effect is not lost. Use a store in one event loop at a time. A store from `from_url` may be used
    in several event loops one after the other, if the store is closed at the end of each loop.

    Args:
        redis_client: A ``redis.asyncio.Redis`` or ``redis.asyncio.RedisCluster``. The client should send each command
            once; see `RedisStore`. The client stays open when the store is closed.
        ttl: Seconds until the key of a closed breaker expires; ``None`` means never. See `RedisStore`.
        key_prefix: The beginning of every key. Keys are ``prefix:name``, or ``prefix@namespace:name`` in a namespace
            other than ``"default"``.
        half_open_probe_ttl: The shortest lifetime in seconds of a breaker whose probe is running. ``None`` means
            ``ttl``.
        namespace: The name that separates the breakers of this application from others on the server.
        max_breakers: The largest number of breakers in the namespace, at least 1. An operation that would add one more
            breaker raises `TooManyBreakersError`. ``None`` means no limit.

    Raises:
        ConfigurationError: The client is missing or of the wrong kind, or ``ttl``, ``half_open_probe_ttl`` or
            ``max_breakers`` is out of range. An operation also raises this error if it runs in a second event loop
            while the first event loop is still running.
        InvalidNameError: The namespace or the prefix is too long or has characters that a store cannot keep.
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
    ) -> None:
        super().__init__(namespace)
        check_client(redis_client, type(self).__name__, awaited=True)
        self._operations = Operations(
            redis_client, ttl, key_prefix, half_open_probe_ttl, namespace, max_breakers=max_breakers
        )
        self._client = redis_client
        self._key_prefix = key_prefix
        self._open: Callable[[], Any] | None = None
        self._own: AsyncConnections | None = None
        self._in_flight = InFlight()
        self._loop = OneLoop()

    @classmethod
    def from_url(cls, url: str, **kwargs: Any) -> AsyncRedisStore:
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

        def open_one() -> Any:
            return open_client(Redis, url, Retry(NoBackoff(), 0))

        store = cls(open_one(), **kwargs)
        store._open = open_one
        store._use_connections()
        return store

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key_prefix={self._key_prefix!r}, namespace={self.namespace!r})"

    @classmethod
    def from_env(cls, **kwargs: Any) -> AsyncRedisStore:
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

    async def read_all(self) -> list[tuple[str, Snapshot]]:
        """Return all breakers of all namespaces whose keys begin with the key prefix.

        Returns:
            Pairs of namespace and snapshot, ordered by namespace and name.

        Raises:
            ConfigurationError: The client is for a cluster, whose keys cannot be listed in one search.
        """
        return await self._ask(read_all(self._client, self._key_prefix))

    async def close(self) -> None:
        """Wait until all running operations have ended, then close the client, unless the caller passed the client."""
        await run_to_completion(self._close())

    async def _read(self, name: str, now: float | None) -> Snapshot:
        return await self._ask(self._operations.read(name, now))

    async def _apply(self, command: Command) -> Transition | None:
        return await self._ask(self._operations.apply(command))

    async def _check_writable(self) -> None:
        await self._ask(self._operations.check_writable())

    async def _history(self, name: str) -> str:
        return await self._ask(self._operations.history(name))

    async def _delete(self, name: str) -> None:
        await self._ask(self._operations.delete(name))

    async def _ask(self, steps: RedisSteps[T]) -> T:
        return await self._in_flight.carry(sansio.run_async(steps, self._do))

    async def _do(self, wish: Call | Send | Transaction) -> Any:
        self._enter_loop()
        try:
            return await self._make(wish)
        except RuntimeError as error:
            if "loop" not in str(error):
                raise
            # The operation may have had an effect: bytes that were written to a connection of an event loop that has
            # ended still reach the server.
            raise StoreUnavailableError(
                "the client was used in another event loop: await client.aclose() at its end"
            ) from error

    async def _make(self, wish: Call | Send | Transaction) -> Any:
        if isinstance(wish, Send):
            return await (wish.on(self._client) if self._own is None else self._own.send(wish.command))
        if self._own is not None:
            await self._own.give_back()
        if isinstance(wish, Call):
            return await wish.on(self._client)
        await asyncio.sleep(wish.pause)
        async with self._client.pipeline(transaction=True) as pipe:
            return await sansio.run_async(wish.steps, lambda call: _answer(call.on(pipe)))

    def _enter_loop(self) -> None:
        """Replace the store's client in a new event loop, because a connection cannot move to another event loop."""
        if self._loop.is_new():
            if self._open is not None:
                self._client = self._open()
                self._use_connections()
            self._loop.entered()

    def _use_connections(self) -> None:
        """Use the connections of the store's client directly, if this version of redis-py allows it."""
        pool = self._client.connection_pool
        self._own = AsyncConnections(pool) if are_usable(pool) else None

    async def _close(self) -> None:
        await self._in_flight.landed()
        self._enter_loop()
        if self._open is not None:
            await self._client.connection_pool.disconnect()


async def _answer(answer: Any) -> Any:
    """Return the answer of a call; await the answer first if it is awaitable.

    A call that a pipeline only queues returns an object that is not awaitable.
    """
    return await answer if inspect.isawaitable(answer) else answer
