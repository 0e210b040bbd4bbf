"""A deadline for stores that cannot stop at it: the caller stops waiting, and the operation goes on in a task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from cbstore_sql.deadline import remaining
from cbstore_sql.runtime.tasks import in_background
from cbstore_sql.stores.call import StoreCall
from cbstore_sql.stores.timeout import timeout_error

T = TypeVar("T")


async def by_deadline(
    call: StoreCall,
    operation: Coroutine[Any, Any, T],
    *,
    abandoned: Callable[[T], Awaitable[object]] | None = None,
) -> T:
    """Await an operation of a store until the caller's deadline, and return the operation's answer.

    Args:
        call: What the caller asked of the store. Only the error depends on it.
        operation: The coroutine that runs the operation.
        abandoned: A coroutine function that receives an answer that arrives after the deadline; it runs in the
            background. ``None`` means that such an answer is dropped.

    Raises:
        StoreUnavailableError: There was no answer by the deadline. The operation goes on in the background.
    """
    task = in_background(operation)
    done, _ = await asyncio.wait([task], timeout=remaining())
    if not done:
        if abandoned is not None:
            in_background(_pass_on(task, abandoned))
        raise timeout_error(call)
    return task.result()


async def _pass_on(task: asyncio.Task[T], abandoned: Callable[[T], Awaitable[object]]) -> None:
    await abandoned(await task)
