"""Flask: an answer for refused requests and a readiness page.

::

    from flask import Flask
    from cbstore_sql import CircuitBreaker, SqlStore
    from cbstore_sql.integrations.flask import install

    breaker = CircuitBreaker(SqlStore("postgresql://…"))
    app = Flask(__name__)
    install(app, breaker, readiness="/ready")

    @app.get("/rates")
    @breaker("rates")
    def rates(): ...

The application answers a refused request with 503 and ``Retry-After``. The store may be made before the server forks,
because each process opens its own connections.
"""

from __future__ import annotations

from typing import Any

from cbstore_sql.breaker.arguments import check_breaker
from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.extras import needs_extra
from cbstore_sql.integrations import _web

with needs_extra("cbstore_sql.integrations.flask", "flask"):
    from flask import Flask, jsonify

__all__ = ["install"]


def install(app: Flask, breaker: CircuitBreaker, *, readiness: str | None = None, require_store: bool = False) -> None:
    """Add the answer for refused requests and the readiness page to an application.

    Args:
        app: The application.
        breaker: The breaker that guards the application's calls.
        readiness: The path of the readiness page, such as ``"/ready"``; ``None`` means no page. An open circuit does
            not change the answer of the page.
        require_store: Whether the readiness page answers 503 while the store does not answer. With ``False``, the
            status is always 200, because the breakers work without their store.

    Raises:
        InvalidArgumentError: ``breaker`` is not a `CircuitBreaker`.
    """
    check_breaker(breaker, CircuitBreaker)

    def refused(error: CircuitBreakerOpenError) -> Any:
        headers = {"Retry-After": _web.retry_after(error)}
        return jsonify(_web.refused_body(error)), _web.REFUSED_STATUS, headers

    def ready() -> Any:
        answers = breaker.check_store()
        return jsonify(_web.readiness_body(answers)), 200 if answers or not require_store else _web.REFUSED_STATUS

    app.register_error_handler(CircuitBreakerOpenError, refused)
    if readiness is not None:
        app.add_url_rule(readiness, "cbstore_ready", ready)
