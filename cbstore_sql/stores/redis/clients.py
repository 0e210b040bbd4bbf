"""The clients that the stores work with."""

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
    """Find out whether a store can work with a client.

    Args:
        client: What the caller gave.
        store: What the store is called in messages.
        awaited: Whether it awaits what the client answers.

    Raises:
        ConfigurationError: There is no client, or it is of the other colour.
    """
    if client is None:
        raise ConfigurationError(f"redis_client is required for {store}")
    if isinstance(client, _SYNC if awaited else _ASYNC):
        raise ConfigurationError(f"{store} needs a client from {'redis.asyncio' if awaited else 'redis'}")


def open_client(kind: Any, url: str, retry: Any) -> Any:
    """Make a client for a URL.

    Args:
        kind: ``redis.Redis`` or its asynchronous twin.
        url: See `RedisStore.from_url`.
        retry: The client's.

    Raises:
        ConfigurationError: It is no such URL. The message does not repeat it.
    """
    try:
        client = kind.from_url(url, retry=retry)
        pool = client.connection_pool
        # Nothing is connected yet, and an option that redis-py does not know shows only here.
        pool.connection_class(**pool.connection_kwargs)
        return client
    except (TypeError, ValueError, redis.RedisError):
        raise ConfigurationError(
            "the Redis URL cannot be read; it is not shown, since it may hold a password"
        ) from None


def register_scripts(client: Any) -> dict[str, Any]:
    """Make every operation's script known to a client; nothing is sent yet."""
    return {name: client.register_script(script(name)) for name in (READ, *OPERATIONS)}
