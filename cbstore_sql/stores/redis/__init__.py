"""Redis."""

from cbstore_sql.stores.redis.aio import AsyncRedisStore
from cbstore_sql.stores.redis.sync import RedisStore

__all__ = ["AsyncRedisStore", "RedisStore"]
