"""Where breakers are kept: the store interface and its backends.

==================================  ===================================================================
`base`, `base_async`                the interface: `Store`, `AsyncStore`
`dict_protocol`                     the eight methods of MassGen's `CircuitBreakerStore`, over any store
`factory`                           `make_store`: a store by name or URL
`memory`                            `InMemoryStore`, for one process
`sql`                               PostgreSQL and SQLite
`redis`                             Redis
`batching`, `batching_async`        several failures of one process in one write
`timeout`, `timeout_async`          deadlines for stores that keep none
`threaded`                          a synchronous store behind the asynchronous interface
`call`                              one call of a store method, as data
`push`                              what a breaker needs to know of LISTEN and NOTIFY
==================================  ===================================================================
"""

from cbstore_sql.stores.dict_protocol import ProtocolStore

__all__ = ["ProtocolStore"]
