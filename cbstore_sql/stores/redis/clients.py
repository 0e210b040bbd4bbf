"""Functions that check and make redis-py clients for the stores."""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio

from cbstore_sql.errors import ConfigurationError

_SYNC = (redis.Redis, redis.RedisCluster)
_ASYNC = (redis.asyncio.Redis, redis.asyncio.RedisCluster)


def check_client(client: Any, store: str, *, awaited: bool) -> None:
    """Check that a store can use a Redis client.

    Args:
        client: The client that the caller passed.
        store: The name of the store's class, for the error message.
        awaited: Whether the store is asynchronous and so needs an asynchronous client.

    Raises:
        ConfigurationError: The client is missing, or it is synchronous for an asynchronous store, or asynchronous for a
            synchronous store.
    """
    if client is None:
        raise ConfigurationError(f"redis_client is required for {store}")
    if isinstance(client, _SYNC if awaited else _ASYNC):
        raise ConfigurationError(f"{store} needs a client from {'redis.asyncio' if awaited else 'redis'}")


def open_client(kind: Any, url: str, retry: Any) -> Any:
    """Make a Redis client for a URL and check the URL's options. The client does not connect yet.

    Args:
        kind: The class of the client: ``redis.Redis`` or ``redis.asyncio.Redis``.
        url: ``redis://…``, ``rediss://…`` or ``unix://…``. The query may contain options of redis-py, such as
            ``socket_timeout`` in seconds.
        retry: redis-py's retry policy for the client.

    Raises:
        ConfigurationError: The URL is invalid. The message does not contain the URL.
    """
    try:
        client = kind.from_url(url, retry=retry)
        pool = client.connection_pool
        # The client has not connected yet. If an option is unknown to redis-py, only this call raises an error.
        pool.connection_class(**pool.connection_kwargs)
        return client
    except (TypeError, ValueError, redis.RedisError):
        raise ConfigurationError(
            "the Redis URL cannot be read; it is not shown, since it may hold a password"
        ) from None
