"""The classification of returned values: an error in the body of a 200, or a response with an error status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cbstore_sql.llm.classification.api_errors import read_api_error
from cbstore_sql.llm.classification.evidence import error_object, evidence_of, make_evidence
from cbstore_sql.llm.classification.form import ApiFailure
from cbstore_sql.llm.classification.safe import (
    attribute,
    content_read,
    lowered_headers,
    mapping,
    parsed,
    status_number,
    words,
)

_FIRST_ERROR_STATUS = 400
_LARGEST_BODY = 16 * 1024
"""The largest body, in bytes, that is parsed. A longer body of a response without an error status is an answer."""

_BESIDE_AN_ERROR = words("error status code type message detail request_id id estimated_time success warnings")
"""The keys that an object with a text under ``error`` may have. An object with any other key is a good answer."""


def read_result(result: Any) -> ApiFailure | None:
    """Find out whether a value that a call returned is in fact a failure of the API.

    Args:
        result: A model of an SDK, a mapping, a response of an HTTP client, or any other value.

    Returns:
        The failure. ``None`` if the value is a good answer.
    """
    if result is None or isinstance(result, (str, bytes, int, float, list, tuple)):
        return None
    if not isinstance(result, Mapping) and lowered_headers(attribute(result, "headers")):
        return _of_response(result)
    return _of_body(result)


def _of_response(response: Any) -> ApiFailure | None:
    status = status_number(attribute(response, "status_code")) or status_number(attribute(response, "status"))
    if status is None:
        return None
    if status >= _FIRST_ERROR_STATUS:
        evidence = evidence_of(response)
        return None if evidence is None else read_api_error(evidence)
    content = content_read(response)
    if content is None or len(content) > _LARGEST_BODY:
        return None
    body = parsed(content)
    return _of_body(body, lowered_headers(attribute(response, "headers"))) if isinstance(body, Mapping) else None


def _of_body(body: Any, headers: Mapping[str, Any] | None = None) -> ApiFailure | None:
    fields = mapping(body)
    for holder in (fields, *_choices(fields)):
        error = holder.get("error")
        if isinstance(error, str) and error and holder.keys() <= _BESIDE_AN_ERROR:
            error = {"message": error, "code": holder.get("code", holder.get("status"))}
        if not isinstance(error, str) and mapping(error):
            return _of_error({"error": _plain(error)}, headers or {})
    return None


def _choices(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    choices = fields.get("choices")
    return [mapping(choice) for choice in choices] if isinstance(choices, (list, tuple)) else []


def _plain(error: Any) -> dict[str, Any]:
    """Return the fields of an error; empty if there is no code, type, message or status."""
    fields = mapping(error)
    return dict(fields) if any(fields.get(key) for key in ("code", "type", "message", "status")) else {}


def _of_error(body: Mapping[str, Any], headers: Mapping[str, Any]) -> ApiFailure | None:
    error = error_object(body)
    if not body["error"] or not error:
        return None
    status = next(filter(None, (status_number(error.get(key)) for key in ("code", "status"))), None)
    return read_api_error(make_evidence(error, status=status, headers=headers, after_answer=True))
