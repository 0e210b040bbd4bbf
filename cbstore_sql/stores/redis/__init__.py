"""The stores that keep breakers in Redis.

======================  =======================================================================
`store`, `store_async`  `RedisStore`, `AsyncRedisStore`
`operations`            the operations as generators that yield Redis calls
`calls`                 calls to redis-py, as data
`scripts`, ``lua/``     the Lua scripts, one file for each operation, which mirror `core.rules`
`watch`                 the operations for servers that cannot run Lua scripts
`codec`                 a breaker as a Redis hash
`name_index`            the names of the breakers in a namespace, to limit their number
`connections`           connections used directly, for a client that the store made
`clients`               checks and makes redis-py clients
`errors`                translates redis-py errors into the errors of this library
`listing`               finds every breaker of every namespace by SCAN
======================  =======================================================================
"""

from cbstore_sql.stores.redis.store import RedisStore
from cbstore_sql.stores.redis.store_async import AsyncRedisStore

__all__ = ["AsyncRedisStore", "RedisStore"]
