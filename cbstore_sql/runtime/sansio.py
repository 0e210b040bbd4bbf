"""The generator (sans-I/O) pattern: one piece of code, without I/O, for blocking callers and for asynchronous callers.

The work is a generator. The generator yields a request when it needs I/O. A driver performs the request and sends the
answer to the generator, or throws the error into the generator. The generator returns the result of the work. There
are two drivers: `run` calls a function for each request, and `run_async` awaits a coroutine function for each request.
So the order of the steps, the decisions and the handling of errors exist once, and only "do this request" exists
twice::

    def greeting(name):                      # the work: no I/O, and no async
        row = yield Read(name)               # a request; the driver sends the answer
        return f"hello {row.title} {name}"

    sansio.run(greeting("ada"), connection.execute)              # a blocking caller
    await sansio.run_async(greeting("ada"), connection.execute)  # a caller in an event loop

Because the work is a plain generator, a test can replace the driver: ``next`` returns the first request, ``send``
answers a request, and ``throw`` makes a request fail. Generators call each other with ``yield from``.

Two layers use the pattern, each with a separate kind of request:

* the breaker: a guarded call (`cbstore_sql.breaker.flow`, ``controller.py``) yields `StoreCall`, one call of a store's
  method. The generators of a guarded call have the type `StoreCalls`.
* a store: an operation (``stores/sql/operations.py``, ``stores/redis/operations.py``) yields the statements and scripts
  of a backend. The generators of an operation have the types ``QuerySteps`` and ``RedisSteps``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

from cbstore_sql.runtime.interrupts import from_signal_handler

Request = TypeVar("Request")
Result = TypeVar("Result")


def run(steps: Generator[Request, Any, Result], do: Callable[[Request], Any]) -> Result:
    """Run a generator that yields requests for I/O, perform each request, and return the generator's result.

    This function blocks until the generator has ended.

    Args:
        steps: The generator.
        do: A function that performs one request. The result of ``do`` is sent to the generator. An `Exception` that
            ``do`` raises is thrown into the generator. Any other exception, and an exception that a signal handler
            raised, closes the generator and reaches the caller.
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
        # Close the generator now, so that its `finally` blocks do not wait for the garbage collector.
        steps.close()
        # The error's traceback refers to this frame. Only the garbage collector would free this cycle.
        del failed


def resume(request: Request, steps: Generator[Request, Any, Result]) -> Generator[Request, Any, Result]:
    """Return a new generator that continues a generator which has already yielded its first request.

    A caller uses this function when it looks at the first request and then passes the generator on to `run`.

    Args:
        request: The last request that the started generator yielded. The new generator yields this request first.
        steps: The started generator.
    """
    try:
        while True:
            try:
                answer = yield request
            except Exception as error:  # noqa: BLE001 - the work handles the error
                request = steps.throw(error)
            else:
                request = steps.send(answer)
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        steps.close()


async def run_async(steps: Generator[Request, Any, Result], do: Callable[[Request], Awaitable[Any]]) -> Result:
    """Run a generator that yields requests for I/O, await each request, and return the generator's result.

    Args:
        steps: The generator.
        do: A coroutine function that performs one request. The result of ``do`` is sent to the generator. An
            `Exception` that ``do`` raises is thrown into the generator. Any other exception, and an exception that a
            signal handler raised, closes the generator and reaches the caller.
    """
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
        # Close the generator now, so that its `finally` blocks do not wait for the garbage collector.
        steps.close()
        # The error's traceback refers to this frame. Only the garbage collector would free this cycle.
        del failed
