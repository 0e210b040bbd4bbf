"""The classification of failed calls to language model APIs, for every provider and client.

The functions recognize an error by its attributes and class names, so no client must be installed or imported. The
functions never raise, whatever a server sends.

============  =======================================================================
`form`        `ApiFailure`, the form that is the same for all providers
`evidence`    the status, headers, error object and codes of a failed call
`api_errors`  the classification of an error that the API sent
`reader`      the common parts of the modules for the providers
`openai`      the errors of OpenAI and of providers with the same error format
`anthropic`   the errors of Anthropic
`google`      the errors of Google, over HTTP and gRPC
`aws`         the errors of Bedrock and other AWS services
`statuses`    the category of an HTTP status
`waits`       the wait that the server asks for
`durations`   one value for a wait: a number, a duration, a date, a Unix time
`transport`   timeouts and connection errors of every HTTP client
`chain`       the exceptions behind an exception
`results`     errors in returned values
`custom`      the application's own classification
`owners`      the package that an exception class belongs to
`safe`        functions that read attributes of unknown objects without raising
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
    """Find out from an exception how a call to a language model API failed.

    The function reads the exception, its causes and contexts, and the members of exception groups.

    Args:
        error: The exception that the call raised.

    Returns:
        The failure of the API. ``None`` if the exception gives no information about the API. Examples are a mistake of
        the caller, a cancellation, and an error of this library.
    """
    try:
        return _classify(error, set())
    except Exception as failed:  # noqa: BLE001 - the caller must get the original exception; any object may raise
        log.error("an exception could not be classified: %s", type(failed).__name__)
        return None


def classify_result(result: Any) -> ApiFailure | None:
    """Find out whether a returned value is in fact a failure of a language model API.

    An error in the body of a 200 is a failure, and so is a response with an error status.

    Args:
        result: The value that the call returned.

    Returns:
        The failure of the API. ``None`` if the value is a good answer.
    """
    try:
        return read_result(result)
    except Exception as failed:  # noqa: BLE001 - the caller must get the answer; any object may raise
        log.error("a result could not be classified: %s", type(failed).__name__)
        return None


def _classify(error: BaseException, seen: set[int]) -> ApiFailure | None:
    """Classify the nearest exception of a client in the chain, else the nearest exception with any information.

    An exception of an application, a web framework or a gateway library may have a status too. But the exception of the
    client that caused such an exception shows what the API sent.

    Args:
        error: The exception.
        seen: The ids of the exceptions that this function has already read; the function adds to this set.
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
