"""The exceptions behind an exception: causes, contexts, exceptions in attributes, and members of a group."""

from __future__ import annotations

from collections.abc import Iterator

from cbstore_sql.llm.classification.safe import attribute

_DEEPEST = 25
"""How many exceptions of a chain are read. Real chains are shorter, but a chain may be a circle."""

_HOLDERS = ("__cause__", "__context__", "reason", "os_error", "cause")
"""The attributes that hold another exception: in Python, urllib and urllib3, aiohttp, and google-api-core."""


def members(error: BaseException) -> tuple[BaseException, ...]:
    """Return the members of an exception group; empty for an exception that is not a group.

    The function also reads the groups of the backport package ``exceptiongroup``.
    """
    found = attribute(error, "exceptions")
    if not isinstance(found, (tuple, list)):
        return ()
    return tuple(member for member in found if isinstance(member, BaseException))


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and then the exceptions behind it, the nearest first.

    Behind an exception are its causes, its contexts, and the exceptions in attributes such as ``reason``. The function
    also yields a context that ``raise … from None`` hides from the traceback, because the hidden exception still shows
    that the API failed.
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
