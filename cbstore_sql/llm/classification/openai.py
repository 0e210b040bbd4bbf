"""The errors of OpenAI and of providers with the same format: Azure, DeepSeek, Groq, Mistral, OpenRouter, …."""

from __future__ import annotations

import re

from cbstore_sql.llm.classification.evidence import Evidence
from cbstore_sql.llm.classification.form import FailureCategory
from cbstore_sql.llm.classification.reader import Reading, table
from cbstore_sql.llm.classification.safe import mapping

CODES = table(
    {
        FailureCategory.QUOTA_EXHAUSTED: """insufficient_quota billing_hard_limit_reached billing_not_active
            insufficient_balance insufficient_credits insufficient_funds quota_exceeded exceeded_current_quota_error
            usage_limit_reached usage_not_included payment_required""",
        FailureCategory.RATE_LIMITED: """rate_limit_exceeded rate_limit_error rate_limit_reached rate_limited
            rate_limit_reached_error too_many_requests slow_down""",
        FailureCategory.OVERLOADED: """overloaded server_is_overloaded engine_overloaded engine_overloaded_error
            model_overloaded service_unavailable service_unavailable_error no_capacity capacity_exceeded
            service_tier_capacity_exceeded resource_unavailable_error""",
        FailureCategory.AUTH: """invalid_api_key incorrect_api_key invalid_authentication_error unauthorized
            account_deactivated unsupported_country_region_territory ip_not_authorized access_terminated_error
            access_denied mismatched_organization invalid_organization key_expired""",
        FailureCategory.INVALID_REQUEST: """context_length_exceeded string_above_max_length content_filter
            content_policy_violation responsible_ai_policy_violation model_not_found deployment_not_found
            invalid_prompt invalid_image invalid_value unsupported_parameter unsupported_value""",
        FailureCategory.TIMEOUT: "timeout gateway_timeout request_timeout",
    }
)

WEAK_CODES = table(
    {
        FailureCategory.INVALID_REQUEST: "invalid_request_error bad_request not_found unprocessable_entity conflict",
        FailureCategory.TRANSIENT: """server_error internal_error internal_server_error vector_store_timeout
            provider_error bad_gateway upstream_error stream_error processing_error""",
        FailureCategory.AUTH: "request_forbidden forbidden",
    }
)

_FORBIDDEN = 403
_MODERATION = frozenset({"flagged_input", "patterns", "reasons"})
"""The keys in the metadata of OpenRouter if OpenRouter blocked the request."""

_CREDITS = re.compile(
    r"(insufficient|not enough|out of|no remaining) (account )?(balance|credits?|funds)|billing (hard )?limit|"
    r"spend(ing)? limit|negative balance",
    re.IGNORECASE,
)
_CLIENT_ERRORS = range(400, 430)


def read(evidence: Evidence) -> Reading | None:
    """Recognize two errors that no error code identifies: a blocked request and used-up credits.

    Args:
        evidence: The facts about the failed call.

    Returns:
        A reading with the category of the error. ``None`` for all other errors.
    """
    metadata = mapping(evidence.error.get("metadata"))
    if evidence.status == _FORBIDDEN and (
        "flagged_input" in metadata or "patterns" in metadata or "reasons" in metadata
    ):
        return Reading(FailureCategory.INVALID_REQUEST)
    if evidence.status in _CLIENT_ERRORS and _CREDITS.search(evidence.message):
        return Reading(FailureCategory.QUOTA_EXHAUSTED)
    return None
