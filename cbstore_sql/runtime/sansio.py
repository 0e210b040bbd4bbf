"""The generator (sans-I/O) pattern: work is written once, without I/O, and run by blocking and by awaiting callers.

The work is a generator. It yields a request when it needs I/O, is sent the answer or thrown the error, and returns its
result. A driver runs it: `run` calls a function for each request, `run_async` awaits one. So the order of the steps,
the decisions between them and the handling of errors exist once, and only "do this request" exists twice::

    def greeting(name):                      # the work: no I/O, and no async
        row = yield Read(name)               # a request; the driver sends the answer
        return f"hello {row.title} {name}"

    sansio.run(greeting("ada"), connection.execute)              # a blocking caller
    await sansio.run_async(greeting("ada"), connection.execute)  # a caller in an event loop

Because work is a plain generator, a test can play the driver: ``next`` gives the first request, ``send`` answers it and
``throw`` fails it. Generators call each other with ``yield from``.

Two layers use the pattern, each with its own kind of request:

* the breaker: a guarded call (`cbstore_sql.breaker.flow`, ``controller.py``) yields `StoreCall`, one call of a store's
  method. Its generators have the type `StoreCalls`.
* a store: an operation (``stores/sql/operations.py``, ``stores/redis/operations.py``) yields the statements and scripts
  of its backend. Its generators have the types ``QuerySteps`` and ``RedisSteps``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

from cbstore_sql.runtime.interrupts import from_signal_handler

Request = TypeVar("Request")
Result = TypeVar("Result")


def run(steps: Generator[Request, Any, Result], do: Callable[[Request], Any]) -> Result:
    """Run work to its end and return its result.

    Args:
        steps: The work.
        do: Called with each request. Its result is sent to the work; an `Exception` that it raises is thrown into it.
            Any other exception, and one that a signal handler raised, closes the work and is raised here.
    """
    answer, failed = None, None
    try:
        while True:
            request = steps.send(answer) if failed is None else steps.throw(failed)
            answer, failed = None, None
            try:
                answer = do(request)
            except Exception as error:
                if from_signal_handler(error):
                    raise
                failed = error
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        # At once: what the work gives back on its way out must not wait for the garbage collector.
        steps.close()
        # Its traceback refers to this frame: a cycle that only the garbage collector would free.
        del failed


def resume(request: Request, steps: Generator[Request, Any, Result]) -> Generator[Request, Any, Result]:
    """Return work that was started elsewhere as new work, which starts with its current request.

    Args:
        request: What the started work yielded last.
        steps: The started work.
    """
    try:
        while True:
            try:
                answer = yield request
            except Exception as error:  # noqa: BLE001 - the work decides what it means
                request = steps.throw(error)
            else:
                request = steps.send(answer)
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        steps.close()


async def run_async(steps: Generator[Request, Any, Result], do: Callable[[Request], Awaitable[Any]]) -> Result:
    """Run work whose requests are awaited; see `run`."""
    answer, failed = None, None
    try:
        while True:
            request = steps.send(answer) if failed is None else steps.throw(failed)
            answer, failed = None, None
            try:
                answer = await do(request)
            except Exception as error:
                if from_signal_handler(error):
                    raise
                failed = error
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        # At once: what the work gives back on its way out must not wait for the garbage collector.
        steps.close()
        # Its traceback refers to this frame: a cycle that only the garbage collector would free.
        del failed
