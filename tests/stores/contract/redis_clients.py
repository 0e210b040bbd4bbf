"""Redis stores for the contract tests, in a separate module so that only they import redis."""

from __future__ import annotations

from typing import Any

import redis

from cbstore_sql import RedisStore
from cbstore_sql.stores.dict_protocol import ProtocolStore

_clients: dict[str, redis.Redis] = {}


def open_redis_store(url: str, namespace: str, **options: Any) -> ProtocolStore:
    """Open a store with the one client that this process has for a server."""
    if url not in _clients:
        _clients[url] = redis.Redis.from_url(url)
    return RedisStore(_clients[url], namespace=namespace, **options)
