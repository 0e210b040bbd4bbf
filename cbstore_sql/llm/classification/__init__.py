"""What a failed call says, whichever provider and client it came from.

An error is found by its shape, so no client has to be installed or imported. Whatever a server sends or an exception
does when it is read, nothing here raises.

============  =======================================================================
`form`        `ApiFailure`, the neutral form that every error is translated into
`evidence`    status, headers, error object and codes, wherever a client keeps them
`api_errors`  the failure that an API's own error says
`reader`      what the readers of the providers have in common
`openai`      OpenAI's errors, and those of everyone who uses its form
`anthropic`   Anthropic's
`google`      Google's, over HTTP and gRPC
`aws`         Bedrock's and those of other AWS services
`statuses`    what an HTTP status means
`waits`       how long the server asks a caller to wait
`durations`   one value that says how long: a number, a duration, a date, a Unix time
`transport`   timeouts and connection errors of every HTTP client
`chain`       the exceptions behind an exception
`results`     errors in what a call returned
`custom`      the application's own classification
`owners`      whose an exception is
`safe`        reading attributes of objects that may do anything when they are read
============  =======================================================================
"""

from __future__ import annotations

import logging
from typing import Any

from cbstore_sql.errors import CircuitBreakerError
from cbstore_sql.llm.classification.api_errors import read_api_error
from cbstore_sql.llm.classification.chain import chain, members
from cbstore_sql.llm.classification.evidence import evidence_of
from cbstore_sql.llm.classification.form import SEVERITY, ApiFailure
from cbstore_sql.llm.classification.owners import is_of_another_dependency, is_of_the_application
from cbstore_sql.llm.classification.results import read_result
from cbstore_sql.llm.classification.transport import is_own_mistake, is_wrapper, read_transport_error

log = logging.getLogger("cbstore_sql")


def classify_error(error: BaseException) -> ApiFailure | None:
    """Return what an exception says about the API.

    It reads the exception, those it was raised from, and the members of exception groups.

    Args:
        error: What the call raised.

    Returns:
        ``None`` when the exception says nothing about the API: a mistake of the caller's own, a cancellation, or an
        error of this library.
    """
    try:
        return _classify(error, set())
    except Exception as failed:  # noqa: BLE001 - the call has its exception already; hostile objects raise anything
        log.error("an exception could not be classified: %s", type(failed).__name__)
        return None


def classify_result(result: Any) -> ApiFailure | None:
    """Return the failure that a returned value is: an error in the body of a 200, or a response with an error status.

    Args:
        result: What the call returned.

    Returns:
        ``None`` for an answer.
    """
    try:
        return read_result(result)
    except Exception as failed:  # noqa: BLE001 - the call has its answer already; hostile objects raise anything
        log.error("a result could not be classified: %s", type(failed).__name__)
        return None


def _classify(error: BaseException, seen: set[int]) -> ApiFailure | None:
    """Take the nearest exception of a client, or else the nearest that says anything at all.

    An application's own exception, a web framework's or a gateway library's may carry a status too, but what it was
    raised from is what the API really said.
    """
    second_hand: ApiFailure | None = None
    for current in chain(error):
        if id(current) in seen:
            continue
        seen.add(id(current))
        if is_own_mistake(current):
            return None
        if isinstance(current, CircuitBreakerError) or is_of_another_dependency(current):
            return second_hand
        found = _worst(current, seen) or _read(current)
        if found is None:
            continue
        if not (is_wrapper(current) or is_of_the_application(current)):
            return found
        second_hand = second_hand or found
    return second_hand


def _worst(group: BaseException, seen: set[int]) -> ApiFailure | None:
    found = [failure for member in members(group) if (failure := _classify(member, seen)) is not None]
    return min(found, key=lambda failure: (SEVERITY.index(failure.category), -(failure.wait or 0.0)), default=None)


def _read(error: BaseException) -> ApiFailure | None:
    transport = read_transport_error(error)
    if transport is not None and not _has_status(error):
        return transport
    evidence = evidence_of(error)
    return (read_api_error(evidence) if evidence is not None else None) or transport


def _has_status(error: BaseException) -> bool:
    evidence = evidence_of(error)
    return evidence is not None and evidence.status is not None
