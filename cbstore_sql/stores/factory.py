"""`make_store`: the function that makes a store from a name or a URL."""

from __future__ import annotations

from typing import Any

from cbstore_sql.errors import ConfigurationError
from cbstore_sql.extras import needs_extra
from cbstore_sql.stores.dict_protocol import ProtocolStore
from cbstore_sql.stores.memory import InMemoryStore


def make_store(backend: str = "memory", **kwargs: Any) -> ProtocolStore:
    """Make a synchronous store from the name of a backend or from a URL.

    Args:
        backend: ``"memory"``, ``"redis"``, ``"sql"``, or a URL: ``postgresql://…``, ``sqlite:///file``, ``redis://…``,
            ``rediss://…``, ``unix://…`` or ``memory://``.
        **kwargs: The keyword arguments of the store's class. ``"redis"`` needs ``redis_client``, and ``"sql"`` needs
            ``url`` or ``engine``; a URL as ``backend`` needs neither. ``"memory"`` ignores arguments that only other
            classes have.

    Raises:
        ConfigurationError: The backend is unknown, or the client, the URL or the engine is missing.
        MissingExtraError: The backend needs an optional package that is not installed.
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
    # Anything other than a plain word may be a connection string with a password.
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
    with needs_extra("a redis store", "redis"):
        from cbstore_sql.stores.redis import RedisStore
    return RedisStore(**kwargs)


def _redis_from_url(url: str, kwargs: dict[str, Any]) -> ProtocolStore:
    with needs_extra("a redis URL", "redis"):
        from cbstore_sql.stores.redis import RedisStore
    return RedisStore.from_url(url, **kwargs)


def _sql(kwargs: dict[str, Any]) -> ProtocolStore:
    from cbstore_sql.stores.sql import SqlStore

    return SqlStore(**kwargs)
