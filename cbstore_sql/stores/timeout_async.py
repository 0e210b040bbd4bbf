"""The asynchronous twin of ``bounded.py``: the caller stops waiting, and what it waited for goes on in a task."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from cbstore_sql.deadline import remaining
from cbstore_sql.runtime.tasks import in_background
from cbstore_sql.stores.call import StoreCall
from cbstore_sql.stores.timeout import timeout_error

T = TypeVar("T")


async def by_deadline(ask: StoreCall, operation: Coroutine[Any, Any, T]) -> T:
    """Await an operation of a store and return its answer.

    Raises:
        StoreUnavailableError: There was no answer by the deadline; the operation goes on.
    """
    task = in_background(operation)
    done, _ = await asyncio.wait([task], timeout=remaining())
    if not done:
        raise timeout_error(ask)
    return task.result()
