"""The errors of Google's APIs: Gemini, Vertex AI, and other APIs that use google-api-core or gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from cbstore_sql.llm.classification.durations import seconds_asked
from cbstore_sql.llm.classification.evidence import Evidence, normalized
from cbstore_sql.llm.classification.form import FailureCategory
from cbstore_sql.llm.classification.reader import Reading, table
from cbstore_sql.llm.classification.safe import attribute, mapping

CODES = table(
    {
        FailureCategory.RATE_LIMITED: "resource_exhausted rate_limit_exceeded user_rate_limit_exceeded",
        FailureCategory.QUOTA_EXHAUSTED: "billing_disabled daily_limit_exceeded",
        FailureCategory.OVERLOADED: "unavailable",
        FailureCategory.TIMEOUT: "deadline_exceeded",
        FailureCategory.AUTH: """unauthenticated api_key_invalid api_key_expired api_key_service_blocked
            api_key_http_referrer_blocked api_key_ip_address_blocked access_token_expired service_disabled
            consumer_suspended consumer_invalid permission_denied""",
        FailureCategory.TRANSIENT: "aborted data_loss",
    }
)

WEAK_CODES = table(
    {
        FailureCategory.TRANSIENT: "internal unknown",
        FailureCategory.INVALID_REQUEST: """invalid_argument failed_precondition out_of_range not_found already_exists
            unimplemented""",
    }
)


def read(evidence: Evidence) -> Reading | None:
    """Read the wait (``RetryInfo``) and the quota (``QuotaFailure``) from the details of a Google error.

    The details may be JSON or protocol buffers.

    Args:
        evidence: The facts about the failed call.

    Returns:
        The wait and the category, or ``None`` if the details contain neither a wait nor a used-up quota.
    """
    details = evidence.error.get("details")
    if not isinstance(details, (list, tuple)):
        return None
    waits = [seconds for detail in details if (seconds := _delay(detail, evidence.now)) is not None]
    wait = max(waits, default=None)
    if any(map(_is_used_up, _violations(details))):
        return Reading(FailureCategory.QUOTA_EXHAUSTED, wait)
    return Reading(None, wait) if wait is not None else None


def _delay(detail: Any, now: float) -> float | None:
    delay = mapping(detail).get("retryDelay") or attribute(detail, "retry_delay")
    if isinstance(delay, (str, int, float, timedelta)):
        return seconds_asked(delay, now)
    fields = mapping(delay)
    seconds = fields.get("seconds", attribute(delay, "seconds"))
    nanoseconds = fields.get("nanos", attribute(delay, "nanos"))
    whole, part = seconds_asked(seconds, now), seconds_asked(nanoseconds, now)
    return None if whole is None and part is None else (whole or 0.0) + (part or 0.0) / 1e9


def _violations(details: Any) -> Iterator[Any]:
    for detail in details:
        found = mapping(detail).get("violations") or attribute(detail, "violations")
        try:
            yield from found or ()
        except TypeError:
            continue


def _is_used_up(violation: Any) -> bool:
    """Return whether the violated quota is daily or monthly, or has the value 0 for this account."""
    fields = mapping(violation)
    quota = normalized(fields.get("quotaId") or attribute(violation, "quota_id"))
    value = fields.get("quotaValue", attribute(violation, "quota_value"))
    return "perday" in quota or "permonth" in quota or str(value) == "0"
