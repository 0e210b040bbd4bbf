"""What a failed call says: its HTTP status, how long the server asks to wait, and what follows from it.

Reads the exceptions of the ``anthropic`` and ``openai`` clients, of ``httpx``, and any other that carries a status
and a response with headers in the same places. Whatever a server sends, nothing here raises.
"""

from __future__ import annotations

import math
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

TOO_MANY_REQUESTS = 429


class RateLimitAction(Enum):
    """What to do about a 429."""

    WAIT = "wait"
    """The server asks for a short wait: wait and try again. No failure."""

    STOP = "stop"
    """The server asks for a long one (a quota is used up): open the circuit for that time."""

    CAP = "cap"
    """The server does not say how long (too many calls at once): a failure; back off and try again."""


@dataclass(frozen=True, slots=True)
class FailureClass:
    """What one failed call says.

    Attributes:
        action: For a 429; ``None`` for everything else.
        retry_after: Seconds the server asks to wait, with a 429 only; ``None`` when it does not say.
        counts: Whether it is a failure of the dependency.
    """

    action: RateLimitAction | None
    retry_after: float | None
    counts: bool


def classify_failure(error: BaseException, threshold: float, retryable: Container[int]) -> FailureClass:
    """Judge a failed call.

    Args:
        error: What it raised.
        threshold: See `classify_429`, seconds.
        retryable: The statuses, besides 429, that are failures of the dependency.
    """
    status = extract_status_code(error)
    if status != TOO_MANY_REQUESTS:
        return FailureClass(None, None, status in retryable)
    retry_after = extract_retry_after(error)
    action = classify_429(retry_after, threshold)
    return FailureClass(action, retry_after, action is RateLimitAction.CAP)


def classify_429(retry_after_value: float | None, threshold: float) -> RateLimitAction:
    """Tell what to do about a 429.

    Args:
        retry_after_value: Seconds the server asks to wait; ``None`` when it does not say.
        threshold: The longest wait, in seconds, that is waited for.
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
    """Return the HTTP status of ``exc.status_code`` or ``exc.response.status_code``; ``None`` where there is none."""
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
