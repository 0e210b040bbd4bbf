"""Work in an event loop that outlives the await that began it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# The event loop keeps only weak references to its tasks.
_running: set[asyncio.Task[Any]] = set()


def in_background(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start work that nobody has to await; what it raises unheard is dropped."""
    task = asyncio.ensure_future(work)
    _running.add(task)
    task.add_done_callback(_finished)
    return task


async def carried_through(work: Coroutine[Any, Any, T], *, abandoned: Callable[[T], Awaitable[Any]] | None = None) -> T:
    """Await work that goes on to its end even if the await is cancelled.

    Args:
        work: What to do.
        abandoned: When the await was cancelled, called with the work's result once it is there; its own awaitable
            is carried through as well.

    Raises:
        CancelledError: The await was cancelled; the work goes on.
    """
    task = in_background(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if abandoned is not None:
            in_background(_clean_up(task, abandoned))
        raise


async def _clean_up(task: asyncio.Task[T], abandoned: Callable[[T], Awaitable[Any]]) -> None:
    await abandoned(await task)


def _finished(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled():
        task.exception()
