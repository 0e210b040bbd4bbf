"""Redis.

======================  =======================================================================
`store`, `store_async`  `RedisStore`, `AsyncRedisStore`
`operations`            each operation as a generator that yields Redis calls
`calls`                 one call to redis-py, as data
`scripts`, ``lua/``     the Lua scripts, one file for each operation, which mirror `core.rules`
`watch`                 the same operations for servers without scripting
`codec`                 a breaker as a Redis hash
`name_index`            which breakers a namespace holds, to limit their number
`clients`               the redis-py clients
`errors`                which of our errors a Redis error becomes
`listing`               every breaker of every namespace, found by SCAN
======================  =======================================================================
"""

from cbstore_sql.stores.redis.store import RedisStore
from cbstore_sql.stores.redis.store_async import AsyncRedisStore

__all__ = ["AsyncRedisStore", "RedisStore"]
