"""Which functions a breaker can guard: those whose call is the whole of their work."""

from __future__ import annotations

import inspect
from functools import partial
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

_UNFINISHED = (CoroutineType, GeneratorType, AsyncGeneratorType)
_UNFINISHED_FLAGS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


# A type once seen to be the outcome itself is not looked at again; as many as are remembered.
_finished: set[type] = set()
_MOST_FINISHED = 256


def refuse_generator(function: Any) -> None:
    """Raise for a function whose call returns before any of its work is done.

    Raises:
        TypeError: It is a generator function, synchronous or asynchronous.
    """
    if _is_plain(function):
        return
    if inspect.isgeneratorfunction(_callable(function)) or inspect.isasyncgenfunction(_callable(function)):
        raise TypeError(
            f"{_name(function)} is a generator function: its call ends before its work begins. "
            "Admit by hand, settle when the stream ends: permit = breaker.admit(name); breaker.success(permit)"
        )


def require_plain_function(function: Any) -> None:
    """Raise for a function that a synchronous breaker cannot guard; see `refuse_generator` and `refuse_coroutine`.

    Raises:
        TypeError: It is one.
    """
    if not _is_plain(function):
        refuse_generator(function)
        refuse_coroutine(function)


def refuse_coroutine(function: Any) -> None:
    """Raise for a coroutine function, which a synchronous breaker cannot await.

    Raises:
        TypeError: It is one.
    """
    if not _is_plain(function) and is_coroutine_function(function):
        raise TypeError(f"{_name(function)} is a coroutine function: guard it with AsyncCircuitBreaker")


def refuse_awaitable_result(function: Any, result: Any) -> None:
    """Raise when a call returned something that still has its work to do.

    Raises:
        TypeError: It did; a coroutine is closed first, so that it does not warn of never having been awaited.
    """
    kind = type(result)
    if kind in _finished:
        return
    if not isinstance(result, _UNFINISHED) and not hasattr(kind, "__await__"):
        if len(_finished) < _MOST_FINISHED:
            _finished.add(kind)
        return
    if isinstance(result, CoroutineType):
        result.close()
    raise TypeError(f"{_name(function)} returned a {type(result).__name__}, whose outcome is not known yet")


def _is_plain(function: Any) -> bool:
    """Whether a function's code says that it is an ordinary one; this is asked at every call, so it must be quick."""
    code = getattr(function, "__code__", None) or getattr(_callable(function), "__code__", None)
    return code is not None and not code.co_flags & _UNFINISHED_FLAGS


def is_coroutine_function(function: Any) -> bool:
    """Whether calling it makes a coroutine: a function, a partial of one, or an object whose call is one."""
    return inspect.iscoroutinefunction(_callable(function))


def _callable(function: Any) -> Any:
    while isinstance(function, partial):
        function = function.func
    plain = inspect.isroutine(function) or inspect.isclass(function)
    return function if plain else getattr(function, "__call__", function)  # noqa: B004 - its call is what is asked for


def _name(function: Any) -> str:
    return str(getattr(_callable(function), "__qualname__", repr(function)))
