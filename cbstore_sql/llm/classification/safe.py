"""Functions that read attributes and values of unknown objects without raising."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

_LARGEST_BODY = 256 * 1024
"""The largest body, in bytes, that is parsed. Parsing a longer body would block an event loop."""

_LOWEST_STATUS, _HIGHEST_STATUS = 100, 599


def attribute(holder: Any, name: str) -> Any:
    """Return an attribute of an object, or ``None`` if the attribute is missing or raises.

    Args:
        holder: Any object.
        name: The name of the attribute.
    """
    try:
        return getattr(holder, name, None)
    except Exception:  # noqa: BLE001 - a property of a client's exception may raise anything
        return None


def called(method: Any) -> Any:
    """Call a method without arguments and return the result; ``None`` if the method is not callable or raises."""
    try:
        return method() if callable(method) else None
    except Exception:  # noqa: BLE001 - an unknown object may have a different method of this name
        return None


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the fields of a value by their names.

    Returns:
        A mapping as given. For a model of an SDK, the fields of the model. For any other value, an empty mapping.
    """
    if isinstance(value, Mapping):
        return value
    extra = attribute(value, "model_extra")  # pydantic: fields that the model does not declare
    fields = attribute(value, "__dict__")
    if isinstance(fields, Mapping) and (isinstance(extra, Mapping) or isinstance(attribute(value, "code"), str)):
        return {**fields, **(extra if isinstance(extra, Mapping) else {})}
    return {}


def words(listed: str) -> frozenset[str]:
    """Return the set of the words in a text. White space separates the words."""
    return frozenset(listed.split())


def status_number(value: Any) -> int | None:
    """Return a number or a text of digits as an HTTP status; ``None`` if the value is not from 100 to 599."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if _LOWEST_STATUS <= number <= _HIGHEST_STATUS else None


def text(value: Any) -> str:
    """Return a string as given, and bytes decoded as UTF-8; ``""`` for any other value."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def lowered_headers(headers: Any) -> dict[str, Any]:
    """Return the headers of a response with lower-case names; empty if the headers cannot be read.

    If several headers have the same name, the last header wins.
    """
    items = attribute(headers, "items")
    pairs: Any = headers
    try:
        if callable(items):
            pairs = items()
        if isinstance(pairs, (str, bytes)) or not isinstance(pairs, Iterable):
            return {}
        named = [(text(name).lower() or str(name).lower(), value) for name, value in pairs]
    except Exception:  # noqa: BLE001 - an unknown client may return any object as headers
        return {}
    return {name: text(value) if isinstance(value, bytes) else value for name, value in named}


def parsed(body: Any) -> Any:
    """Parse a response body of text or bytes as JSON; return any other body as given.

    Returns:
        The parsed body. If the parsed body is a list, the first element of the list. If the text is not JSON, the text
        as given. ``None`` if the body is longer than 256 KiB.
    """
    if isinstance(body, (str, bytes)):
        if len(body) > _LARGEST_BODY:
            return None
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            return text(body)
    return body[0] if isinstance(body, list) and body else body


def content_read(response: Any) -> Any:
    """Return the body of a response if the client has already read the body, otherwise ``None``.

    This function never reads from the network. httpx and requests store the body in ``_content``, aiohttp in ``_body``.
    """
    for name in ("_content", "_body"):
        content = attribute(response, name)
        if isinstance(content, (str, bytes)):
            return content
    return None
