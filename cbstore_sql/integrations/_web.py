"""The common part of the web frameworks: the answer to a refused request, and the answer of a readiness page."""

from __future__ import annotations

import math
from typing import Any

from cbstore_sql.errors import CircuitBreakerOpenError

REFUSED_STATUS = 503
"""The status of an answer to a refused request: Service Unavailable (RFC 9110 §15.6.4)."""

_PROBE_SECONDS = 1


def retry_after(refused: CircuitBreakerOpenError) -> str:
    """Return the value of ``Retry-After`` for a refusal, in whole seconds.

    If the circuit is half_open, the value is 1 second, because the circuit may close at any moment.
    """
    return str(max(_PROBE_SECONDS, math.ceil(refused.retry_after)) if refused.state != "half_open" else _PROBE_SECONDS)


def refused_body(refused: CircuitBreakerOpenError) -> dict[str, Any]:
    """Return the JSON body for a refusal. The body contains the breaker's name and state, but no secret."""
    return {"detail": f"{refused.name} is not available", "breaker": refused.name, "state": refused.state}


def readiness_body(answers: bool) -> dict[str, Any]:
    """Return the JSON body of a readiness page.

    Args:
        answers: Whether the store answers.
    """
    return {"store": "ok" if answers else "unavailable"}
