"""Functions that check and make redis-py clients for the stores."""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio

from cbstore_sql.core.rules import OPERATIONS
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.stores.redis.scripts import READ, script

_SYNC = (redis.Redis, redis.RedisCluster)
_ASYNC = (redis.asyncio.Redis, redis.asyncio.RedisCluster)


def check_client(client: Any, store: str, *, awaited: bool) -> None:
    """Check that a store can use a client.

    Args:
        client: The client that the caller passed.
        store: The name of the store's class, for messages.
        awaited: Whether the store is asynchronous. An asynchronous store needs an asynchronous client.

    Raises:
        ConfigurationError: The client is missing, or the client is synchronous and the store asynchronous, or the
            client is asynchronous and the store synchronous.
    """
    if client is None:
        raise ConfigurationError(f"redis_client is required for {store}")
    if isinstance(client, _SYNC if awaited else _ASYNC):
        raise ConfigurationError(f"{store} needs a client from {'redis.asyncio' if awaited else 'redis'}")


def open_client(kind: Any, url: str, retry: Any) -> Any:
    """Make a client for a URL. This function does not connect to the server.

    Args:
        kind: ``redis.Redis`` or ``redis.asyncio.Redis``.
        url: ``redis://…``, ``rediss://…`` or ``unix://…``; see `RedisStore.from_url`.
        retry: The retry policy of the client.

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


def register_scripts(client: Any) -> dict[str, Any]:
    """Register the script of each operation with a client, and return the scripts by operation.

    This function sends nothing to the server.

    Args:
        client: A redis-py client.
    """
    return {name: client.register_script(script(name)) for name in (READ, *OPERATIONS)}
