"""What the web frameworks share: the answer to a refused request, and what a readiness page says."""

from __future__ import annotations

import math
from typing import Any

from cbstore_sql.errors import CircuitBreakerOpenError

REFUSED_STATUS = 503
"""Service Unavailable: the status of an answer to a refused request (RFC 9110 §15.6.4)."""

_PROBE_SECONDS = 1


def retry_after(refused: CircuitBreakerOpenError) -> str:
    """Return the value of ``Retry-After`` for a refusal, whole seconds.

    While another caller probes, the circuit may close at any moment: the answer is one second.
    """
    return str(max(_PROBE_SECONDS, math.ceil(refused.retry_after)) if refused.state != "half_open" else _PROBE_SECONDS)


def refused_body(refused: CircuitBreakerOpenError) -> dict[str, Any]:
    """Return the JSON body for a refusal. It names the breaker and no secret."""
    return {"detail": f"{refused.name} is not available", "breaker": refused.name, "state": refused.state}


def readiness_body(answers: bool) -> dict[str, Any]:
    """Return the JSON body of a readiness page."""
    return {"store": "ok" if answers else "unavailable"}
