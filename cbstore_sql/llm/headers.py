"""The three functions of MassGen's LLM circuit breaker that read an HTTP status and ``Retry-After``.

The functions read the exceptions of the ``anthropic`` and ``openai`` clients and of ``httpx``, and other exceptions
with the attributes ``status_code`` and ``response.headers``. The functions never raise, whatever a server sends.
`classify_error` understands many more kinds of exceptions.
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
    """Decide how a caller must react to an HTTP 429 (too many requests).

    Args:
        retry_after_value: The wait in seconds that the server asks for; ``None`` if the server gives no time.
        threshold: The longest wait in seconds that a caller waits.

    Returns:
        ``WAIT`` for a wait of at most ``threshold``: wait and try again. ``STOP`` for a longer wait: open the circuit.
        ``CAP`` if the server gives no time: count a failure, pause, and try again.
    """
    if retry_after_value is None:
        return RateLimitAction.CAP
    return RateLimitAction.WAIT if retry_after_value <= threshold else RateLimitAction.STOP


def extract_retry_after(exc: BaseException, *, now: float | None = None) -> float | None:
    """Return the wait that the server asks for in the headers of ``exc.response``.

    If the response has both headers, ``retry-after-ms`` wins over ``Retry-After``, as in the clients of Anthropic and
    OpenAI. ``Retry-After`` is a number of seconds or an HTTP date. This function subtracts the ``Date`` header of the
    response from an HTTP date, so a difference between the clocks of server and client has no effect.

    Args:
        exc: The exception that the call raised.
        now: The current time in Unix seconds, used only if the response has no ``Date`` header. ``None`` means the
            clock of this machine.

    Returns:
        The wait in seconds; 0.0 if the date is in the past. ``None`` if both headers are missing or invalid: negative,
        not finite, or neither a number nor a date.
    """
    headers = _headers(exc)
    milliseconds = _duration(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    seconds = _duration(headers.get("retry-after"))
    return _until(headers, now) if seconds is None else seconds


def extract_status_code(exc: BaseException) -> int | None:
    """Return the HTTP status of an exception.

    Args:
        exc: The exception that the call raised.

    Returns:
        ``exc.status_code``, else ``exc.response.status_code``. ``None`` if neither attribute holds a number.
    """
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
    """Return an HTTP date as Unix seconds, or ``None`` if the text is not a date. A date without a zone is in GMT."""
    try:
        moment = parsedate_to_datetime(raw)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except Exception:  # noqa: BLE001 - the parser raises many kinds of errors for hostile text
        return None
