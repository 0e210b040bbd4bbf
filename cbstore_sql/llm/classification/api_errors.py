"""The classification of an error that an API sent, for every provider."""

from __future__ import annotations

import re

from cbstore_sql.llm.classification import anthropic, aws, google, openai
from cbstore_sql.llm.classification.evidence import Evidence
from cbstore_sql.llm.classification.form import SEVERITY, ApiFailure, FailureCategory
from cbstore_sql.llm.classification.reader import Codes, Reading
from cbstore_sql.llm.classification.safe import text
from cbstore_sql.llm.classification.statuses import category_of_status
from cbstore_sql.llm.classification.waits import wait_asked

_READERS = (google.read, anthropic.read, openai.read)
_CODES: Codes = {**openai.CODES, **google.CODES, **anthropic.CODES, **aws.CODES}
_WEAK_CODES: Codes = {**openai.WEAK_CODES, **google.WEAK_CODES, **anthropic.WEAK_CODES}
_SERVICE_UNAVAILABLE = 503
_FIRST_ERROR_STATUS = 400

_LONG_LIMIT = re.compile(
    r"\bper[- ](day|month)\b|/ ?(day|month)\b|\b(TPD|RPD)\b|\b(daily|monthly)\b[^.]{0,30}\b(limit|quota|spend|usage)",
    re.IGNORECASE,
)


def read_api_error(evidence: Evidence) -> ApiFailure | None:
    """Classify an error that an API sent.

    The error code of a provider is more exact than the HTTP status. For example, Bedrock sends a used-up quota with
    status 400. A few codes are less exact than the status; for example, ``invalid_request_error`` may come with status
    503. These codes count only if there is no error status.

    Args:
        evidence: The status, headers and error object of the failed call.

    Returns:
        The failure. ``None`` if the error gives no information about the API.
    """
    reading = next(filter(None, (read(evidence) for read in _READERS)), Reading(None))
    category = reading.category or _by_code(evidence, _CODES) or _by_status(evidence)
    if category is None:
        return None
    limited = category is FailureCategory.RATE_LIMITED
    wait = wait_asked(evidence, reading.wait, limits=limited or category is FailureCategory.QUOTA_EXHAUSTED)
    if limited and not wait and _LONG_LIMIT.search(evidence.message):
        category = FailureCategory.QUOTA_EXHAUSTED
    if category is FailureCategory.TRANSIENT and evidence.status == _SERVICE_UNAVAILABLE and (wait or evidence.error):
        category = FailureCategory.OVERLOADED
    return ApiFailure(
        category,
        status=evidence.status,
        wait=wait,
        should_retry=_should_retry(evidence),
        maybe_billed=evidence.after_answer,
    )


def _by_code(evidence: Evidence, codes: Codes) -> FailureCategory | None:
    found = {codes[code] for code in evidence.codes if code in codes}
    return next((category for category in SEVERITY if category in found), None)


def _by_status(evidence: Evidence) -> FailureCategory | None:
    if evidence.status is not None and evidence.status >= _FIRST_ERROR_STATUS:
        return category_of_status(evidence.status)
    # An error object without a status is an event in a stream. Without a known code, the API is at fault.
    if not evidence.from_client or not evidence.error:
        return None
    return _by_code(evidence, _WEAK_CODES) or FailureCategory.TRANSIENT


def _should_retry(evidence: Evidence) -> bool | None:
    said = text(evidence.headers.get("x-should-retry")).strip().lower()
    return {"true": True, "false": False}.get(said)
