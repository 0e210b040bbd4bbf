"""The checked settings, and the conversion of an entry of Django's ``DATABASES`` to a URL for SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from django.conf import settings
from django.db import connections
from sqlalchemy.engine import URL, make_url

from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA

_KEYS = frozenset(
    {"database", "url", "namespace", "schema", "policy", "policies", "options", "migrate", "panel_actions"}
)

# Options of Django that are not options of a connection.
_DJANGO_ONLY = frozenset({"pool", "isolation_level", "server_side_binding", "assume_role", "transaction_mode"})


@dataclass(frozen=True)
class BreakersSettings:
    """The settings in ``CBSTORE``, with defaults.

    Attributes:
        database: The alias of the database in ``DATABASES``.
        url: The SQLAlchemy URL of the database; ``None`` means the database of the alias.
        namespace: The namespace of the breakers.
        schema: The PostgreSQL schema of the breaker table.
        policy: The policy of all breakers that are not in ``policies``.
        policies: The policies of single breakers, by breaker name.
        options: Further arguments of `CircuitBreaker`.
        migrate: Whether ``manage.py migrate`` brings the breaker table up to date.
        panel_actions: Whether the staff may change breakers in the panel.
    """

    database: str = "default"
    url: str | None = None
    namespace: str = "default"
    schema: str = DEFAULT_SCHEMA
    policy: BreakerPolicy = DEFAULT_POLICY
    policies: Mapping[str, BreakerPolicy] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    migrate: bool = True
    panel_actions: bool = False

    @classmethod
    def read(cls) -> BreakersSettings:
        """Read Django's settings, check them and return them.

        Raises:
            ConfigurationError: A key is unknown, or a policy is not a dictionary or has an unknown argument.
            InvalidPolicyError: A value of a policy is out of range.
        """
        given = dict(getattr(settings, "CBSTORE", {}))
        if unknown := sorted(given.keys() - {each.name for each in fields(cls)}):
            raise ConfigurationError(f"CBSTORE has unknown keys: {', '.join(unknown)}")
        policies = {name: _policy(f"policies[{name!r}]", value) for name, value in given.pop("policies", {}).items()}
        policy = _policy("policy", given.pop("policy", {}))
        return cls(policy=policy, policies=policies, **given)

    def database_url(self) -> URL:
        """Return the SQLAlchemy URL of the database.

        Raises:
            ConfigurationError: ``DATABASES`` does not have the alias, or the engine of the alias is neither PostgreSQL
                nor SQLite.
        """
        if self.url is not None:
            return make_url(self.url)
        if self.database not in connections:
            raise ConfigurationError(f"CBSTORE['database'] is {self.database!r}, which DATABASES does not have")
        # During tests, the connection knows the name of the test database. The settings do not contain this name.
        return url_of(connections[self.database].settings_dict)


def _policy(label: str, given: Any) -> BreakerPolicy:
    """Check one policy of the settings and return it as a `BreakerPolicy`."""
    if isinstance(given, BreakerPolicy):
        return given
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"CBSTORE[{label!r}] must be a dictionary of BreakerPolicy's arguments")
    try:
        return BreakerPolicy(**given)
    except TypeError as error:
        raise ConfigurationError(f"CBSTORE[{label!r}]: {error}") from None


def url_of(database: Mapping[str, Any]) -> URL:
    """Return the SQLAlchemy URL of one entry of ``DATABASES``.

    Args:
        database: The entry.

    Raises:
        ConfigurationError: The engine is neither PostgreSQL nor SQLite.
    """
    engine, options = str(database.get("ENGINE", "")), dict(database.get("OPTIONS") or {})
    if "sqlite" in engine:
        return URL.create("sqlite", database=str(database["NAME"]))
    if not ("postgresql" in engine or "postgis" in engine):
        raise ConfigurationError(f"the breakers need PostgreSQL or SQLite, got the engine {engine!r}")
    query = {key: str(value) for key, value in options.items() if key not in _DJANGO_ONLY}
    host = str(database.get("HOST") or "")
    if host.startswith("/"):
        query["host"] = host
    return URL.create(
        "postgresql+psycopg",
        username=database.get("USER") or None,
        password=database.get("PASSWORD") or None,
        host=None if host.startswith("/") else host or None,
        port=int(database["PORT"]) if database.get("PORT") else None,
        database=str(database.get("NAME") or "") or None,
        query=query,
    )
