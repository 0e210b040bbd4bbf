"""One store for both kinds of callers: those who block and those in an event loop."""

from __future__ import annotations

import time
from collections.abc import Callable

from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.llm.dict_store import DictionaryStore, ThreadedDictionaryStore
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore
from cbstore_sql.stores.dict_protocol import CircuitBreakerStore
from cbstore_sql.stores.memory import InMemoryStore
from cbstore_sql.stores.threaded import as_async

AnyStore = Store | AsyncStore | CircuitBreakerStore


def faces(store: AnyStore | None, policy: BreakerPolicy) -> tuple[Store | None, AsyncStore]:
    """Return the store as those who block see it (``None``: they cannot) and as those in an event loop do.

    Args:
        store: One of our stores, a custom one with the eight methods of `CircuitBreakerStore`, or ``None`` for
            one in this process.
        policy: See `DictionaryStore`.

    Raises:
        ConfigurationError: The store is not one of these.
    """
    if store is None:
        store = InMemoryStore(clock=steady_clock())
    if isinstance(store, AsyncStore):
        return None, store
    if isinstance(store, Store):
        return store, as_async(store)
    if isinstance(store, CircuitBreakerStore):
        adapted = DictionaryStore(store, policy)
        return adapted, ThreadedDictionaryStore(adapted)
    raise ConfigurationError("store must be a Store, an AsyncStore or answer the methods of CircuitBreakerStore")


def steady_clock() -> Callable[[], float]:
    """Make a clock that says Unix seconds and does not follow when the machine's clock is set."""
    start = time.time() - time.monotonic()
    return lambda: start + time.monotonic()
