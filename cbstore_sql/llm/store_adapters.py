"""Adapters that give blocking and asynchronous callers the same store."""

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
    """Return one store in two forms: for blocking callers and for asynchronous callers.

    Args:
        store: A `Store`, an `AsyncStore`, or a custom store with the eight methods of `CircuitBreakerStore`. ``None``
            means a new store in the memory of this process.
        policy: The settings of the breaker; used only for a custom store, see `DictionaryStore`.

    Returns:
        The store for blocking callers, and the store for asynchronous callers. The first is ``None`` for an
        `AsyncStore`, because blocking callers cannot use an `AsyncStore`.

    Raises:
        ConfigurationError: ``store`` is not ``None`` and not one of these kinds of stores.
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
    """Return a clock function for Unix seconds. A later change of the machine's clock does not affect this clock."""
    start = time.time() - time.monotonic()
    return lambda: start + time.monotonic()
