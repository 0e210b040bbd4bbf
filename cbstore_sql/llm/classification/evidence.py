"""The facts that an exception or a response contains: status, headers, error object and codes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cbstore_sql.llm.classification.durations import seconds_asked
from cbstore_sql.llm.classification.owners import is_of_the_application
from cbstore_sql.llm.classification.safe import (
    attribute,
    called,
    content_read,
    lowered_headers,
    mapping,
    parsed,
    status_number,
    text,
)

_STATUS_ATTRIBUTES = ("status_code", "status", "code", "http_status", "http_status_code")
_RESPONSE_ATTRIBUTES = ("response", "raw_response", "http_response")
_CODE_KEYS = ("code", "type", "status", "reason", "error_type", "error_code", "Code")
_FIRST_ERROR_STATUS = 400
_LONGEST_MESSAGE = 4_000
"""How many characters of a message are searched for words."""


@dataclass(frozen=True)
class Evidence:
    """The facts about a failed call, in the same form for all clients.

    Attributes:
        status: The HTTP status. If the HTTP status is not an error, the status that the error object names. ``None`` if
            there is no status.
        headers: The headers of the response, by lower-case name.
        error: The error object: the part of the body that describes the error. Empty if the body has no such part.
        codes: The provider's codes for the error, reduced to lower-case letters and digits.
        message: The text of the error, for details that the codes do not contain.
        now: The time of the response in Unix seconds, from the server's ``Date`` header. Without this header, the time
            of this machine.
        after_answer: Whether the error came after an HTTP status below 400, or without an HTTP status. The API may then
            have done a part of the work.
        from_client: ``True`` if the exception comes from a client or an API, ``False`` if it comes from the
            application.
    """

    status: int | None
    headers: Mapping[str, Any]
    error: Mapping[str, Any]
    codes: frozenset[str]
    message: str
    now: float
    after_answer: bool
    from_client: bool = True


def evidence_of(source: Any) -> Evidence | None:
    """Collect the facts about a failed call from an exception or a response.

    Args:
        source: An exception, or a response of an HTTP client.

    Returns:
        The facts. ``None`` if the source has neither an error status nor an error object.
    """
    responses = [response for name in _RESPONSE_ATTRIBUTES if (response := attribute(source, name)) is not None]
    error = next(filter(None, map(error_object, _bodies(source, responses))), {})
    http_status = _http_status(source, responses)
    status = http_status if (http_status or 0) >= _FIRST_ERROR_STATUS else _named_status(error) or http_status
    named = _grpc_name(source)
    if named:
        error = {**error, "status": named}
    if (status is None or status < _FIRST_ERROR_STATUS) and not error:
        return None
    headers: dict[str, Any] = {}
    for holder in (source, *responses):
        headers = {**lowered_headers(_headers_of(holder)), **headers}
    evidence = make_evidence(
        error, status=status, headers=headers, after_answer=(http_status or 0) < _FIRST_ERROR_STATUS
    )
    by_application = isinstance(source, BaseException) and is_of_the_application(source)
    return replace(evidence, from_client=not by_application)


def make_evidence(
    error: Mapping[str, Any], *, status: int | None, headers: Mapping[str, Any], after_answer: bool
) -> Evidence:
    """Collect the facts about a failed call from the error object, the status and the headers.

    Args:
        error: The error object: the part of the body that describes the error. May be empty.
        status: The HTTP status, or the status that the error object names; ``None`` if there is no status.
        headers: The headers of the response, by lower-case name.
        after_answer: Whether the error came after an HTTP status below 400, or without an HTTP status.
    """
    local = time.time()
    sent = headers.get("date")
    ahead = seconds_asked(sent, 0.0) if isinstance(sent, str) and "," in sent else None
    codes = set(_codes(error))
    if isinstance(kind := headers.get("x-amzn-errortype"), str):
        codes.add(normalized(kind.partition(":")[0]))
    message = text(error.get("message")) or text(error.get("Message")) or text(error.get("detail"))
    return Evidence(status, headers, error, frozenset(codes), message[:_LONGEST_MESSAGE], ahead or local, after_answer)


def error_object(body: Any) -> Mapping[str, Any]:
    """Return the error object: the part of a response body that describes the error.

    Providers send ``{"error": {…}}``, ``{"error": "…"}``, ``{"errors": [{…}]}``, ``{"detail": …}``, the error object
    itself, or a list whose first element is one of these.

    Args:
        body: The body: text, bytes, a mapping, or a model of an SDK.

    Returns:
        The fields of the error object; empty if the body has no error object.
    """
    body = parsed(body)
    if isinstance(body, str):
        # The HTML page of a gateway contains no information.
        return {"message": body} if body and not body.lstrip().startswith("<") else {}
    fields = mapping(body)
    for key in ("error", "Error", "errors"):
        inner = parsed(fields.get(key))
        if isinstance(inner, str) and inner:
            return {**fields, "message": inner}
        if mapping(inner):
            return {**{name: value for name, value in fields.items() if name in _OUTER}, **mapping(inner)}
    return fields if any(fields.get(key) for key in ("message", "Message", "detail", "code", "Code")) else {}


_OUTER = ("retry_after", "retry_after_ms", "retryAfter", "resets_at", "resets_in_seconds", "estimated_time")
"""The keys of the body that may stand beside the error object and describe the same error."""


def normalized(code: Any) -> str:
    """Return an error code reduced to lower-case letters and digits; ``""`` if the code is not text.

    ``ThrottlingException`` and ``throttling_exception`` have the same normalized form.
    """
    return re.sub(r"[^a-z0-9]", "", code.lower()) if isinstance(code, str) else ""


def _bodies(source: Any, responses: list[Any]) -> Iterator[Any]:
    yield attribute(source, "body")
    details = attribute(source, "details")
    if isinstance(details, Mapping):
        yield details
    elif isinstance(details, (list, tuple)) and details:
        yield {"error": {"details": list(details), "message": text(attribute(source, "message"))}}
    for response in responses:
        yield response if isinstance(response, Mapping) else content_read(response)
    yield content_read(source)


def _http_status(source: Any, responses: list[Any]) -> int | None:
    for holder in (source, *responses):
        if isinstance(holder, Mapping):
            found = status_number(mapping(holder.get("ResponseMetadata")).get("HTTPStatusCode"))
            if found is not None:
                return found
        for name in _STATUS_ATTRIBUTES:
            found = status_number(attribute(holder, name))
            if found is not None:
                return found
    return None


def _named_status(error: Mapping[str, Any]) -> int | None:
    for key in ("code", "status", "status_code", "http_status"):
        found = status_number(error.get(key))
        if found is not None and found >= _FIRST_ERROR_STATUS:
            return found
    return None


def _grpc_name(source: Any) -> str:
    """Return the name of the gRPC status of an exception; ``""`` if the exception has no gRPC status."""
    for code in (attribute(source, "grpc_status_code"), called(attribute(source, "code"))):
        name = attribute(code, "name")
        if isinstance(name, str) and isinstance(attribute(code, "value"), tuple):
            return name
    return ""


def _headers_of(holder: Any) -> Any:
    if isinstance(holder, Mapping):
        return mapping(holder.get("ResponseMetadata")).get("HTTPHeaders")
    return attribute(holder, "headers")


def _codes(error: Mapping[str, Any]) -> Iterator[str]:
    holders = [error, mapping(error.get("metadata")), mapping(error.get("details"))]
    holders += [mapping(detail) for detail in _listed(error.get("details"))]
    holders += [mapping(inner) for inner in _listed(error.get("errors"))]
    for holder in holders:
        for key in _CODE_KEYS:
            code = normalized(holder.get(key))
            if code and not code.isdigit():
                yield code


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []
