"""Django: breakers in the database of the project. ``manage.py migrate`` makes the breaker table.

::

    INSTALLED_APPS = [..., "cbstore_sql.integrations.django"]
    MIDDLEWARE = [..., "cbstore_sql.integrations.django.middleware.RefusedCallMiddleware"]
    CBSTORE = {"policies": {"billing": {"failure_threshold": 3}}}  # optional

    from cbstore_sql.integrations.django import get_breaker

    @get_breaker()("billing")
    def charge(order): ...

| setting in ``CBSTORE`` | meaning | default |
|---|---|---|
| ``database`` | alias in ``DATABASES`` | ``"default"`` |
| ``url`` | SQLAlchemy URL in place of the alias | none |
| ``namespace`` | the breakers' namespace | ``"default"`` |
| ``schema`` | the PostgreSQL schema of the table | ``"cbstore"`` |
| ``policy``, ``policies`` | arguments of `BreakerPolicy`: one for all names, and by name | the library's defaults |
| ``options`` | further arguments of `CircuitBreaker` | none |
| ``migrate`` | whether ``manage.py migrate`` brings the table up to date | ``True`` |
| ``panel_actions`` | whether the staff may change breakers in the panel | ``False`` |

============  =============================================================================================
`apps`        the Django application: ``manage.py migrate`` and ``manage.py check``
`breakers`    this process's store and breaker
`config`      the settings, and the way from ``DATABASES`` to a URL
`middleware`  the answer for refused requests, and a readiness view
`models`      no models; Django needs the module
`panel`       the web panel for members of the staff
============  =============================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cbstore_sql.extras import needs_extra

if TYPE_CHECKING:
    from cbstore_sql.breaker.circuit_breaker import CircuitBreaker

__all__ = ["get_breaker"]


def get_breaker() -> CircuitBreaker:
    """Return the breaker of this process. The first call makes the breaker from the settings.

    Raises:
        ConfigurationError: The settings are invalid.
        MissingExtraError: Django is not installed.
    """
    with needs_extra("cbstore_sql.integrations.django", "django"):
        from cbstore_sql.integrations.django import breakers

    return breakers.current()
