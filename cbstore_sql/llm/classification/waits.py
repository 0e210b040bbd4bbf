"""The wait that a server asks for, from a header, the body, a used-up limit or the message."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cbstore_sql.llm.classification.durations import milliseconds_asked, seconds_asked
from cbstore_sql.llm.classification.evidence import Evidence
from cbstore_sql.llm.classification.safe import lowered_headers, mapping

_MILLISECOND_HEADERS = ("retry-after-ms", "x-ms-retry-after-ms", "x-amz-retry-after")
_HEADERS = ("retry-after", "x-retry-after")
_BODY_KEYS = (
    "retry_after",
    "retry_after_seconds",
    "retryAfter",
    "retryDelay",
    "resets_in_seconds",
    "resets_at",
    "estimated_time",
)

_RESET = re.compile(r"^(?P<start>[a-z0-9-]*rate-?limit[a-z0-9-]*?-)reset(?P<dimension>-[a-z0-9-]+)?$")
_POLICY = re.compile(r"(?:^|[;,\s])(r|remaining|t|reset)\s*=\s*(\d+)")
_IN_TEXT = re.compile(
    r"\b(?:try(?:ing)?|retry|wait)\b[^.\d]{0,40}?\b(?:in|after|for)\s+"
    r"((?:[\d.]+\s*(?:milliseconds?|days?|hours?|minutes?|mins?|seconds?|secs?|ms|[dhms])(?![a-z])\s*)+)",
    re.IGNORECASE,
)
_REGAIN_ACCESS = re.compile(r"regain access on (\d{4}-\d\d-\d\d)(?: at (\d\d:\d\d))?", re.IGNORECASE)


def wait_asked(evidence: Evidence, from_body: float | None = None, *, limits: bool) -> float | None:
    """Return the wait in seconds that the server asks for in a header, the body or the message.

    A ``Retry-After`` header or a similar header wins over all other values. The reset time of a limit counts only if
    this limit is used up, because the other limits delay no call. A value of 0 counts only if there is no positive
    value.

    Args:
        evidence: The facts about the failed call.
        from_body: The wait in seconds that the rules of the provider found in the body; ``None`` if there is no such
            wait.
        limits: Whether to use the reset times of limits. ``True`` for a rate limit or a used-up quota.

    Returns:
        Seconds; 0.0 if all times are over. ``None`` if the server gives no time.
    """
    found = [*_explicit(evidence.headers, evidence.now), from_body, *_in_body(evidence)]
    if limits:
        found.append(_of_limits(evidence.headers, evidence))
        # A gateway may put the headers of the provider into the body.
        passed_on = lowered_headers(mapping(evidence.error.get("metadata")).get("headers"))
        found += [*_explicit(passed_on, evidence.now), _of_limits(passed_on, evidence)]
    found.append(_in_message(evidence))
    said = [seconds for seconds in found if seconds is not None]
    return next((seconds for seconds in said if seconds > 0), 0.0 if said else None)


def _explicit(headers: Mapping[str, Any], now: float) -> Iterator[float | None]:
    for name in _MILLISECOND_HEADERS:
        yield milliseconds_asked(headers.get(name), now)
    for name in _HEADERS:
        yield seconds_asked(headers.get(name), now)


def _in_body(evidence: Evidence) -> Iterator[float | None]:
    for holder in (evidence.error, mapping(evidence.error.get("metadata")), mapping(evidence.error.get("details"))):
        yield milliseconds_asked(holder.get("retry_after_ms"), evidence.now)
        for key in _BODY_KEYS:
            yield seconds_asked(holder.get(key), evidence.now)
            yield seconds_asked(holder.get(key), evidence.now)


def _of_limits(headers: Mapping[str, Any], evidence: Evidence) -> float | None:
    """Return the longest time in seconds until a used-up limit resets; ``None`` if no limit is known to be used up."""
    used_up, unknown = [], {}
    for name, value in headers.items():
        found = _RESET.match(name)
        seconds = seconds_asked(value, evidence.now) if found else None
        if found is None or not seconds:
            continue
        dimension = found["dimension"] or ""
        remaining = _remaining(headers.get(f"{found['start']}remaining{dimension}"))
        if remaining is None:
            unknown[dimension.strip("-") or found["start"]] = seconds
        elif remaining <= 0:
            used_up.append(seconds)
    used_up += _of_policies(headers, evidence.now)
    if used_up:
        return max(used_up)
    if len(unknown) > 1:
        # With two limits, use a limit only if the codes of the error name the limit. A guess could be wrong.
        unknown = {name: seconds for name, seconds in unknown.items() if name.replace("-", "") in evidence.codes}
    return next(iter(unknown.values())) if len(unknown) == 1 else None


def _of_policies(headers: Mapping[str, Any], now: float) -> Iterator[float]:
    """Yield the reset times in seconds of the used-up limits in a ``RateLimit`` header.

    Two IETF drafts define the formats: ``RateLimit: "default";r=0;t=50`` and
    ``RateLimit: limit=9, remaining=0, reset=50``.
    """
    said = headers.get("ratelimit")
    if not isinstance(said, str):
        return
    for policy in said.split(',"'):
        fields = dict(_POLICY.findall(policy))
        seconds = seconds_asked(fields.get("t", fields.get("reset")), now)
        if seconds and _remaining(fields.get("r", fields.get("remaining"))) == 0:
            yield seconds


def _remaining(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _in_message(evidence: Evidence) -> float | None:
    found = _IN_TEXT.search(evidence.message)
    if found is not None:
        return seconds_asked(found[1].strip(), evidence.now)
    found = _REGAIN_ACCESS.search(evidence.message)
    return None if found is None else seconds_asked(f"{found[1]}T{found[2] or '00:00'}:00Z", evidence.now)
