"""Reading attributes of objects that may do anything when they are read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

_LARGEST_BODY = 256 * 1024
"""Bytes. A longer body is not an error message, and parsing it would hold up an event loop."""

_LOWEST_STATUS, _HIGHEST_STATUS = 100, 599


def attribute(holder: Any, name: str) -> Any:
    """Return an attribute, or ``None`` if it is missing or reading it fails."""
    try:
        return getattr(holder, name, None)
    except Exception:  # noqa: BLE001 - a property of a client's exception may raise anything
        return None


def called(method: Any) -> Any:
    """Return what a method without arguments returns, or ``None`` when it is not callable or fails."""
    try:
        return method() if callable(method) else None
    except Exception:  # noqa: BLE001 - whatever else has the name of the method that was looked for
        return None


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping or the fields of a model, and an empty mapping for everything else."""
    if isinstance(value, Mapping):
        return value
    extra = attribute(value, "model_extra")  # pydantic: fields that the model does not declare
    fields = attribute(value, "__dict__")
    if isinstance(fields, Mapping) and (isinstance(extra, Mapping) or isinstance(attribute(value, "code"), str)):
        return {**fields, **(extra if isinstance(extra, Mapping) else {})}
    return {}


def words(listed: str) -> frozenset[str]:
    """Return the words of a text, separated by white space, as a set."""
    return frozenset(listed.split())


def status_number(value: Any) -> int | None:
    """Return an HTTP status given as a number or as digits, otherwise ``None``."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if _LOWEST_STATUS <= number <= _HIGHEST_STATUS else None


def text(value: Any) -> str:
    """Return a string or decoded bytes, and an empty string for everything else."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def lowered_headers(headers: Any) -> dict[str, Any]:
    """Return headers under their lower-case names; the last of several with one name counts."""
    items = attribute(headers, "items")
    pairs: Any = headers
    try:
        if callable(items):
            pairs = items()
        if isinstance(pairs, (str, bytes)) or not isinstance(pairs, Iterable):
            return {}
        named = [(text(name).lower() or str(name).lower(), value) for name, value in pairs]
    except Exception:  # noqa: BLE001 - headers of any client, or anything that was put in their place
        return {}
    return {name: text(value) if isinstance(value, bytes) else value for name, value in named}


def parsed(body: Any) -> Any:
    """Return the body as JSON where it is text, otherwise as it is. A list stands for its first element."""
    if isinstance(body, (str, bytes)):
        if len(body) > _LARGEST_BODY:
            return None
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            return text(body)
    return body[0] if isinstance(body, list) and body else body


def content_read(response: Any) -> Any:
    """Return the body of a response as far as the client has read it already.

    Reading it here could wait for the network. httpx and requests keep what was read in ``_content``, aiohttp in
    ``_body``.
    """
    for name in ("_content", "_body"):
        content = attribute(response, name)
        if isinstance(content, (str, bytes)):
            return content
    return None
