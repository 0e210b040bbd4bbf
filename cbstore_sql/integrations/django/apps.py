"""The Django application: migrations with ``manage.py migrate``, system checks, and new settings in tests."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.signals import setting_changed
from django.db.models.signals import post_migrate

from cbstore_sql.errors import CircuitBreakerError, SchemaError, StoreError
from cbstore_sql.integrations.django import breakers
from cbstore_sql.integrations.django.config import BreakersSettings
from cbstore_sql.migration import migrate


class BreakersConfig(AppConfig):  # type: ignore[misc] # Django has no types
    """The configuration of the Django application ``cbstore_sql.integrations.django``."""

    name = "cbstore_sql.integrations.django"
    label = "cbstore"
    verbose_name = "Circuit breakers"

    def ready(self) -> None:
        """Register the checks of ``manage.py check``, and connect functions to Django's signals.

        After ``manage.py migrate``, the breaker table is brought up to date. After a change of the settings in a test,
        the breaker is closed and made again.
        """
        post_migrate.connect(_migrate, sender=self)
        setting_changed.connect(_forget_settings)
        register(check_settings)
        register(check_table, Tags.database)


def _migrate(using: str, verbosity: int = 1, stdout: Any = None, **_: Any) -> None:
    """Bring the breaker table up to date after Django's migrations of the same database."""
    found = BreakersSettings.read()
    if found.migrate and found.url is None and found.database == using:
        migrate(found.database_url(), schema=found.schema)
        if verbosity > 0 and stdout is not None:
            stdout.write("Brought the circuit breakers' table up to date.\n")


def _forget_settings(setting: str, **_: Any) -> None:
    """Close the breaker if a test changes ``CBSTORE`` or ``DATABASES``."""
    if setting in {"CBSTORE", "DATABASES"}:
        breakers.close()


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check the settings in ``CBSTORE`` and return the error ``cbstore.E001`` if the settings are invalid."""
    try:
        BreakersSettings.read().database_url()
    except CircuitBreakerError as error:
        return [Error(str(error), id="cbstore.E001")]
    return []


def check_table(databases: Any = None, **_: Any) -> list[CheckMessage]:
    """Check the breaker table and return a warning if the table cannot be used.

    ``manage.py check --database default`` calls this function. ``cbstore.W001`` means that the table is missing or old;
    ``cbstore.W002`` means that the database does not answer.
    """
    if not databases or check_settings() or BreakersSettings.read().database not in databases:
        return []
    try:
        breakers.current().store.read("cbstore.check")
    except SchemaError:
        return [Warning("the circuit breakers' table is missing or old", "run: manage.py migrate", id="cbstore.W001")]
    except StoreError as error:
        return [Warning(f"the circuit breakers' database does not answer: {error}", id="cbstore.W002")]
    return []
