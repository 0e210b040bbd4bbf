"""The stores of breakers: the interface of a store, and the backends.

==================================  ===================================================================
`base`, `base_async`                the interface: `Store`, `AsyncStore`
`operator_actions`                  the part of `Store` by which a person or a program decides about a breaker
`backend`                           the part of `Store` that a backend implements
`dict_protocol`                     the eight methods of MassGen's `CircuitBreakerStore`, over any store
`factory`                           `make_store`: a store by name or URL
`memory`                            `InMemoryStore`, for one process
`sql`                               PostgreSQL and SQLite
`redis`                             Redis
`batching`, `batching_async`        several failures of one process in one write
`timeout`, `timeout_async`          deadlines for stores that do not keep deadlines
`threaded`                          a synchronous store behind the asynchronous interface
`decode`                            the values of a row as a `Snapshot` or a `Transition`
`call`                              one call of a store method, as data
`push`                              the types for updates by LISTEN and NOTIFY
==================================  ===================================================================
"""

from cbstore_sql.stores.dict_protocol import ProtocolStore

__all__ = ["ProtocolStore"]
