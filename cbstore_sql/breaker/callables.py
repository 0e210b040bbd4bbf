"""Checks of the functions that a breaker guards.

A synchronous breaker guards a function whose work is over when its call returns. An asynchronous breaker guards a
function whose result is awaited. The work of a generator begins after the call, so no breaker can guard a generator
function.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Awaitable, Callable
from functools import partial
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from cbstore_sql.errors import InvalidArgumentError

# The class of the objects that `contextlib.contextmanager` and `asynccontextmanager` make. The work of such an object
# begins when a `with` statement enters it.
_ContextManager: type[Any] = contextlib._GeneratorContextManagerBase

_UNFINISHED = (CoroutineType, GeneratorType, AsyncGeneratorType, _ContextManager)
_GENERATOR_FLAGS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_UNFINISHED_FLAGS = _GENERATOR_FLAGS | inspect.CO_COROUTINE

# The return annotations that mark a function as awaited although it is not `async def`.
_AWAITED_RESULT = re.compile(r"(?:[\w.]+\.)?(?:Awaitable|Coroutine|Future|Task)\b")

_BY_HAND = "Admit by hand, report when the work ends: permit = breaker.admit(name); … breaker.success(permit)"

# Result types that have no work left. The size is bounded for programs that make types at run time.
_finished: set[type] = set()
_MOST_FINISHED = 256


def require_plain_function(function: Any) -> None:
    """Raise an exception if a synchronous breaker cannot guard a function.

    Raises:
        InvalidArgumentError: ``function`` is not callable, or is a generator function or a coroutine function.
    """
    # Every guarded call runs the first two lines.
    code = getattr(function, "__code__", None)
    flags = _code_flags(function) if code is None else code.co_flags
    if flags is not None and not flags & _UNFINISHED_FLAGS:
        return
    _require_callable(function)
    _refuse_generator(function)
    if _is_coroutine_function(function):
        raise InvalidArgumentError(f"{_shown(function)} is a coroutine function: guard it with AsyncCircuitBreaker")


def require_no_generator(function: Any) -> None:
    """Raise an exception if an asynchronous breaker cannot call a function and await its result.

    Raises:
        InvalidArgumentError: ``function`` is not callable, or is a generator function.
    """
    flags = _code_flags(function)
    if flags is None or flags & _GENERATOR_FLAGS:
        _require_callable(function)
        _refuse_generator(function)


def require_decoratable(function: Any) -> None:
    """Raise an exception if a synchronous breaker cannot decorate a function.

    Raises:
        InvalidArgumentError: ``function`` is not callable, is a generator function or a coroutine function, or makes a
            context manager.
    """
    require_plain_function(function)
    _refuse_context_manager(function)


def require_awaited_function(function: Any) -> None:
    """Raise an exception if an asynchronous breaker cannot decorate a function.

    The function must be a coroutine function, a wrapper, partial or object around a coroutine function, or a function
    whose annotation says that it returns an awaitable.

    Raises:
        InvalidArgumentError: ``function`` is something else, or is a generator function, or makes a context manager.
    """
    require_no_generator(function)
    _refuse_context_manager(function)
    if not _returns_awaitable(function):
        raise InvalidArgumentError(
            f"{_shown(function)} is not a coroutine function: guard it with CircuitBreaker. "
            "If its result is awaited, annotate it (-> Awaitable[…]) or use: await breaker.call(name, function)"
        )


def require_finished(function: Any, result: Any) -> None:
    """Raise an exception if a guarded function returned before its work was done.

    This is so if the result is a generator, an awaitable or a context manager: the work happens later, and the breaker
    does not see its outcome.

    Args:
        function: The guarded function, for the error message.
        result: What the function returned.

    Raises:
        InvalidArgumentError: ``result`` is a generator, a coroutine or another awaitable, or a context manager that was
            not entered. This function closes a coroutine first, so that Python does not warn that the coroutine was
            never awaited.
    """
    kind = type(result)
    if kind in _finished:
        return
    if not isinstance(result, _UNFINISHED) and not hasattr(kind, "__await__"):
        if len(_finished) < _MOST_FINISHED:
            _finished.add(kind)
        return
    _close(result)
    remedy = "guard it with AsyncCircuitBreaker" if hasattr(kind, "__await__") else _BY_HAND
    raise InvalidArgumentError(f"{_shown(function)} returned a {kind.__name__}, whose work is not done: {remedy}")


def require_awaitable(function: Any, result: Any) -> Awaitable[Any]:
    """Return the result of a guarded function, and raise an exception if the result cannot be awaited.

    Args:
        function: The guarded function, for the error message.
        result: What the function returned.

    Raises:
        InvalidArgumentError: ``result`` cannot be awaited.
    """
    if type(result) is CoroutineType or hasattr(type(result), "__await__") or inspect.isawaitable(result):
        awaitable: Awaitable[Any] = result
        return awaitable
    raise InvalidArgumentError(
        f"{_shown(function)} returned a {type(result).__name__}, which cannot be awaited: guard it with CircuitBreaker"
    )


def is_coroutine_function(function: Any) -> bool:
    """Return whether an object is a coroutine function, or a partial or callable object around a coroutine function."""
    return callable(function) and _is_coroutine_function(function)


def takes_one_argument(function: Callable[..., Any]) -> bool:
    """Return whether a function can be called with one positional argument.

    If Python cannot find out the parameters of the function, the answer is ``True``.
    """
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # a built-in without a signature
        return True
    return True


def _require_callable(function: Any) -> None:
    """Raise `InvalidArgumentError` if an object cannot be called."""
    if callable(function):
        return
    if isinstance(function, classmethod):
        raise InvalidArgumentError("put the breaker's decorator below @classmethod, next to the function")
    if hasattr(type(function), "__await__"):
        _close(function)
        raise InvalidArgumentError(
            "got a coroutine in place of a function; write breaker.call(name, function, arguments…), without calling it"
        )
    raise InvalidArgumentError(
        f"got a {type(function).__name__} in place of a function; write breaker.call(name, function, arguments…)"
    )


def _refuse_generator(function: Any) -> None:
    """Raise `InvalidArgumentError` if a function is a generator function."""
    if inspect.isgeneratorfunction(_underlying(function)) or inspect.isasyncgenfunction(_underlying(function)):
        raise InvalidArgumentError(
            f"{_shown(function)} is a generator function: its call ends before its work begins. {_BY_HAND}"
        )


def _refuse_context_manager(function: Any) -> None:
    """Raise `InvalidArgumentError` if ``contextlib`` made the function, so that its call returns a context manager."""
    target = _underlying(function)
    made_by = getattr(target, "__globals__", {}).get("__name__")
    if made_by == "contextlib" and inspect.unwrap(target) is not target:
        raise InvalidArgumentError(
            f"{_shown(function)} makes a context manager: its call ends before its work begins. "
            f"Guard the block instead: with breaker.guard(name), {_shown(function)}(…) as …"
        )


def _returns_awaitable(function: Any) -> bool:
    """Return whether a function is a coroutine function, makes awaitables, or is annotated to return an awaitable."""
    target = _underlying(function)
    if _is_coroutine_function(function) or _is_coroutine_function(inspect.unwrap(target)):
        return True
    if inspect.isclass(target):
        return hasattr(target, "__await__")
    returned = getattr(target, "__annotations__", {}).get("return")
    text = returned if isinstance(returned, str) else str(returned)
    return _AWAITED_RESULT.match(text) is not None


def _is_coroutine_function(function: Any) -> bool:
    target = _underlying(function)
    # Compiled coroutine functions carry this mark. `asyncio.iscoroutinefunction` also checks it, but is deprecated.
    return inspect.iscoroutinefunction(target) or getattr(target, "_is_coroutine", None) is not None


def _code_flags(function: Any) -> int | None:
    """Return the flags of a function's code, or ``None`` if there is no code. Every guarded call runs this function."""
    code = getattr(function, "__code__", None) or getattr(_underlying(function), "__code__", None)
    return None if code is None else code.co_flags


def _underlying(function: Any) -> Any:
    """Return the function that runs in the end: partials are unwrapped, a callable object gives its ``__call__``."""
    while isinstance(function, partial):
        function = function.func
    plain = inspect.isroutine(function) or inspect.isclass(function)
    return function if plain else getattr(function, "__call__", function)  # noqa: B004 - the method is wanted


def _close(result: Any) -> None:
    if isinstance(result, CoroutineType):
        result.close()


def _shown(function: Any) -> str:
    return str(getattr(_underlying(function), "__qualname__", repr(function)))
