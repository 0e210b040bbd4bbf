"""The exceptions behind an exception: its causes, its context, what it holds, and the members of a group."""

from __future__ import annotations

from collections.abc import Iterator

from cbstore_sql.llm.classification.safe import attribute

_DEEPEST = 25
"""Exceptions looked at. Nothing real is as deep; a chain may be a circle."""

_HOLDERS = ("__cause__", "__context__", "reason", "os_error", "cause")
"""Where exceptions keep others: Python's chain, urllib's and urllib3's ``reason``, aiohttp's, google-api-core's."""


def members(error: BaseException) -> tuple[BaseException, ...]:
    """Return the members of an exception group, Python's own or its backport; empty for any other exception."""
    found = attribute(error, "exceptions")
    if not isinstance(found, (tuple, list)):
        return ()
    return tuple(member for member in found if isinstance(member, BaseException))


def chain(error: BaseException) -> Iterator[BaseException]:
    """Go from an exception to those it came from, the nearest first.

    ``raise … from None`` hides the context from a traceback only: the API failed all the same.
    """
    waiting, seen = [error], {id(error)}
    while waiting and len(seen) <= _DEEPEST:
        current = waiting.pop(0)
        yield current
        for name in _HOLDERS:
            behind = attribute(current, name)
            if isinstance(behind, BaseException) and id(behind) not in seen:
                seen.add(id(behind))
                waiting.append(behind)
