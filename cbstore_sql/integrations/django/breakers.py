"""The store and the breaker of this process, made from the settings at the first use."""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakKeyDictionary

from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.integrations.django.config import BreakersSettings
from cbstore_sql.stores.sql.store import SqlStore

panels: WeakKeyDictionary[CircuitBreaker, Any] = WeakKeyDictionary()
"""The web panel of each breaker's store. A panel is made at its first request."""

_lock = threading.Lock()
_breaker: CircuitBreaker | None = None


def current() -> CircuitBreaker:
    """Return the breaker of this process; see `cbstore_sql.integrations.django.get_breaker`.

    Raises:
        ConfigurationError: The settings are invalid.
    """
    global _breaker  # noqa: PLW0603 - one for each process, as Django keeps its connections
    with _lock:
        if _breaker is None:
            found = BreakersSettings.read()
            store = SqlStore(found.database_url(), namespace=found.namespace, schema=found.schema)
            _breaker = CircuitBreaker(store, found.policy, policies=found.policies, **found.options)
        return _breaker


def close() -> None:
    """Close the breaker and its store. The next call of `current` makes both again, from the current settings."""
    global _breaker
    with _lock:
        breaker, _breaker = _breaker, None
    if breaker is not None:
        breaker.close()
        breaker.store.close()
