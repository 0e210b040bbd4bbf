"""The three functions of MassGen's LLM circuit breaker that read an HTTP status and ``Retry-After``.

They read the exceptions of the ``anthropic`` and ``openai`` clients, of ``httpx``, and any other that carries a status
and a response with headers in the same places. Whatever a server sends, they do not raise. `classify_error` reads far
more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

from cbstore_sql.llm.decision import RateLimitAction


def classify_429(retry_after_value: float | None, threshold: float) -> RateLimitAction:
    """Decide what to do about a 429.

    Args:
        retry_after_value: Seconds the server asks to wait; ``None`` when it does not say.
        threshold: The longest wait that a caller waits out, seconds.
    """
    if retry_after_value is None:
        return RateLimitAction.CAP
    return RateLimitAction.WAIT if retry_after_value <= threshold else RateLimitAction.STOP


def extract_retry_after(exc: BaseException, *, now: float | None = None) -> float | None:
    """Return how long the server asks to wait, from the headers of ``exc.response``.

    ``retry-after-ms`` goes before ``Retry-After``, as in the clients of Anthropic and OpenAI. ``Retry-After`` is a
    number of seconds or an HTTP date; a date is taken relative to the response's own ``Date``, so that it does not
    matter how far the two clocks are apart.

    Args:
        exc: What the call raised.
        now: Unix seconds, for a date in a response without ``Date``; ``None`` means this machine's clock.

    Returns:
        Seconds, 0.0 for a date that has passed. ``None`` when there is no such header or it makes no sense
        (negative, not finite, neither a number nor a date).
    """
    headers = _headers(exc)
    milliseconds = _duration(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    seconds = _duration(headers.get("retry-after"))
    return _until(headers, now) if seconds is None else seconds


def extract_status_code(exc: BaseException) -> int | None:
    """Return the HTTP status of ``exc.status_code`` or ``exc.response.status_code``; ``None`` if both are missing."""
    for holder in (exc, getattr(exc, "response", None)):
        try:
            return int(getattr(holder, "status_code", None))  # type: ignore[arg-type] # TypeError is the answer
        except (TypeError, ValueError, OverflowError):
            continue
    return None


def _headers(exc: BaseException) -> dict[str, Any]:
    headers = getattr(getattr(exc, "response", None), "headers", None)
    return {str(name).lower(): value for name, value in headers.items()} if isinstance(headers, Mapping) else {}


def _duration(raw: Any) -> float | None:
    try:
        value = float(raw)
    except (TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _until(headers: Mapping[str, Any], now: float | None) -> float | None:
    moment = _moment(headers.get("retry-after"))
    if moment is None:
        return None
    sent = _moment(headers.get("date"))
    if sent is None:
        sent = time.time() if now is None else now
    return max(0.0, moment - sent)


def _moment(raw: Any) -> float | None:
    """Read an HTTP date as Unix seconds; one without a zone is in GMT, as they all are."""
    try:
        moment = parsedate_to_datetime(raw)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except Exception:  # noqa: BLE001 - the parser's own failures on hostile text are of many kinds
        return None
