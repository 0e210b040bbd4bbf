"""Redis."""

from cbstore_sql.stores.redis.sync import RedisStore

__all__ = ["RedisStore"]
