"""Work stated without any I/O, and the two ways to carry it out.

The work is a generator: it yields what it wants done, is sent the answer or thrown the error, and returns its
result. A synchronous and an asynchronous caller share all of it but the doing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

Wish = TypeVar("Wish")
Result = TypeVar("Result")


def carry_out(steps: Generator[Wish, Any, Result], do: Callable[[Wish], Any]) -> Result:
    """Do what the steps want, one after the other, and return what they return.

    Args:
        steps: The work.
        do: Called with each wish; an `Exception` it raises is thrown to the steps.
    """
    answer, failed = None, None
    try:
        while True:
            wish = steps.send(answer) if failed is None else steps.throw(failed)
            answer, failed = None, None
            try:
                answer = do(wish)
            except Exception as error:  # noqa: BLE001 - it is the steps that judge it
                failed = error
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        # Its traceback holds this frame.
        del failed


def resumed(wish: Wish, steps: Generator[Wish, Any, Result]) -> Generator[Wish, Any, Result]:
    """Return steps that have been begun as new ones, which begin with the wish they are at."""
    try:
        while True:
            try:
                answer = yield wish
            except Exception as error:  # noqa: BLE001 - it is the steps that judge it
                wish = steps.throw(error)
            else:
                wish = steps.send(answer)
    except StopIteration as done:
        result: Result = done.value
        return result


async def carry_out_async(steps: Generator[Wish, Any, Result], do: Callable[[Wish], Awaitable[Any]]) -> Result:
    """Do the same where each wish has to be awaited; see `carry_out`."""
    answer, failed = None, None
    try:
        while True:
            wish = steps.send(answer) if failed is None else steps.throw(failed)
            answer, failed = None, None
            try:
                answer = await do(wish)
            except Exception as error:  # noqa: BLE001 - it is the steps that judge it
                failed = error
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        # Its traceback holds this frame.
        del failed
