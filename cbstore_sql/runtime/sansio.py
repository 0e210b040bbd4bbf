"""Work stated without any I/O, and the two ways to carry it out.

The work is a generator: it yields what it wants done, is sent the answer or thrown the error, and returns its
result. A synchronous and an asynchronous caller share all of it but the doing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

Request = TypeVar("Request")
Result = TypeVar("Result")


def run(steps: Generator[Request, Any, Result], do: Callable[[Request], Any]) -> Result:
    """Do what the steps want, one after the other, and return what they return.

    Args:
        steps: The work.
        do: Called with each request; an `Exception` it raises is thrown to the steps.
    """
    answer, failed = None, None
    try:
        while True:
            request = steps.send(answer) if failed is None else steps.throw(failed)
            answer, failed = None, None
            try:
                answer = do(request)
            except Exception as error:  # noqa: BLE001 - it is the steps that judge it
                failed = error
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        # Its traceback holds this frame.
        del failed


def resume(request: Request, steps: Generator[Request, Any, Result]) -> Generator[Request, Any, Result]:
    """Return steps that have been begun as new ones, which begin with the request they are at."""
    try:
        while True:
            try:
                answer = yield request
            except Exception as error:  # noqa: BLE001 - it is the steps that judge it
                request = steps.throw(error)
            else:
                request = steps.send(answer)
    except StopIteration as done:
        result: Result = done.value
        return result


async def run_async(steps: Generator[Request, Any, Result], do: Callable[[Request], Awaitable[Any]]) -> Result:
    """Do the same where each request has to be awaited; see `run`."""
    answer, failed = None, None
    try:
        while True:
            request = steps.send(answer) if failed is None else steps.throw(failed)
            answer, failed = None, None
            try:
                answer = await do(request)
            except Exception as error:  # noqa: BLE001 - it is the steps that judge it
                failed = error
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        # Its traceback holds this frame.
        del failed
