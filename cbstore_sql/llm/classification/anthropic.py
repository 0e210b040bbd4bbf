"""The errors of Anthropic."""

from __future__ import annotations

import re

from cbstore_sql.llm.classification.evidence import Evidence
from cbstore_sql.llm.classification.form import FailureCategory
from cbstore_sql.llm.classification.reader import Reading, table

CODES = table(
    {
        FailureCategory.QUOTA_EXHAUSTED: "billing_error credit_balance_too_low",
        FailureCategory.OVERLOADED: "overloaded_error",
        FailureCategory.AUTH: "authentication_error",
        FailureCategory.INVALID_REQUEST: "request_too_large not_found_error",
        FailureCategory.TIMEOUT: "timeout_error",
    }
)

WEAK_CODES = table({FailureCategory.TRANSIENT: "api_error", FailureCategory.AUTH: "permission_error"})

# For used-up credits Anthropic sends a 400 invalid_request_error, as for a bad request. Only the text differs.
_SPENT = re.compile(
    r"credit balance is too low|reached your specified (API )?usage limits|workspace.*usage limits", re.I
)


def read(evidence: Evidence) -> Reading | None:
    """Recognize used-up credits or a spending limit in the message of an Anthropic error.

    Args:
        evidence: The facts about the failed call.

    Returns:
        A reading with the category ``QUOTA_EXHAUSTED``. ``None`` for every other message.
    """
    return Reading(FailureCategory.QUOTA_EXHAUSTED) if _SPENT.search(evidence.message) else None
