"""A store by name or by URL."""

from __future__ import annotations

from typing import Any

from cbstore_sql.errors import ConfigurationError, MissingExtraError
from cbstore_sql.stores.dict_protocol import ProtocolStore
from cbstore_sql.stores.memory import InMemoryStore


def make_store(backend: str = "memory", **kwargs: Any) -> ProtocolStore:
    """Make a store.

    Args:
        backend: ``"memory"``, ``"redis"``, ``"sql"``, or a URL: ``postgresql://…``, ``sqlite:///file``,
            ``redis://…``, ``rediss://…``, ``unix://…`` or ``memory://``.
        **kwargs: What the store's class takes. ``"redis"`` needs ``redis_client``, ``"sql"`` needs ``url`` or
            ``engine``; a URL replaces them. ``"memory"`` ignores what the others take.

    Raises:
        ConfigurationError: (a `ValueError`) The backend is unknown, or its client, URL or engine is missing.
    """
    scheme, separator, _ = backend.partition("://")
    if separator:
        return _from_url(scheme, backend, kwargs)
    if backend == "memory":
        return _memory(kwargs)
    if backend == "redis":
        return _redis(kwargs)
    if backend == "sql":
        return _sql(kwargs)
    # What is no plain word may be a connection string with a password in it.
    shown = backend if backend.isidentifier() else "(not shown)"
    raise ConfigurationError(f"Unknown circuit breaker store backend: {shown}")


def _from_url(scheme: str, url: str, kwargs: dict[str, Any]) -> ProtocolStore:
    if scheme == "memory":
        return _memory(kwargs)
    if scheme in ("redis", "rediss", "unix"):
        return _redis_from_url(url, kwargs)
    return _sql({**kwargs, "url": url})


def _memory(kwargs: dict[str, Any]) -> ProtocolStore:
    known = ("namespace", "clock", "max_breakers", "protocol_probe_lease")
    return InMemoryStore(**{key: value for key, value in kwargs.items() if key in known})


def _redis(kwargs: dict[str, Any]) -> ProtocolStore:
    if kwargs.get("redis_client") is None:
        raise ConfigurationError("redis_client is required for backend='redis'")
    from cbstore_sql.stores.redis import RedisStore

    return RedisStore(**kwargs)


def _redis_from_url(url: str, kwargs: dict[str, Any]) -> ProtocolStore:
    try:
        from cbstore_sql.stores.redis import RedisStore
    except ImportError:
        raise MissingExtraError("a redis URL", "redis") from None
    return RedisStore.from_url(url, **kwargs)


def _sql(kwargs: dict[str, Any]) -> ProtocolStore:
    from cbstore_sql.stores.sql import SqlStore

    return SqlStore(**kwargs)
