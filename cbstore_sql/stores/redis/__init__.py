"""Redis."""

from cbstore_sql.stores.redis.store import RedisStore
from cbstore_sql.stores.redis.store_async import AsyncRedisStore

__all__ = ["AsyncRedisStore", "RedisStore"]
