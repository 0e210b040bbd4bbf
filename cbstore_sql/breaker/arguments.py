"""Checks of a breaker's arguments: each one returns the value to use, or raises an error that says what to write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cbstore_sql.breaker.callables import is_coroutine_function, takes_one_argument
from cbstore_sql.core.model import Permit
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.core.validation import check_name
from cbstore_sql.errors import InvalidArgumentError
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore

Exceptions = type[BaseException] | Iterable[type[BaseException]]
"""Exception classes: one class, or any number of classes in a tuple, a list or another iterable."""


def check_store(store: Any, *, awaits: bool) -> Any:
    """Check that a breaker can use a store and return the store.

    Args:
        store: The argument to check.
        awaits: Whether the breaker is an `AsyncCircuitBreaker`, which accepts a `Store` and an `AsyncStore`.

    Raises:
        InvalidArgumentError: ``store`` is not a store, or a `CircuitBreaker` was given an `AsyncStore`. The message
            does not repeat a URL, because the URL may contain a password.
    """
    if isinstance(store, Store) or (awaits and isinstance(store, AsyncStore)):
        return store
    if isinstance(store, AsyncStore):
        raise InvalidArgumentError(
            f"CircuitBreaker cannot await an {type(store).__name__}: use AsyncCircuitBreaker, or a synchronous store"
        )
    if isinstance(store, str):
        raise InvalidArgumentError("store must be a store, not a URL: write make_store(url)")
    if isinstance(store, type):
        raise InvalidArgumentError(f"store must be a store, not a class: write {store.__name__}(…)")
    kinds = "a Store or an AsyncStore" if awaits else "a Store"
    raise InvalidArgumentError(f"store must be {kinds}, got {type(store).__name__}: write make_store(url)")


def check_breaker(breaker: Any, kind: type[Any]) -> Any:
    """Check that an integration was given a breaker that it can use, and return the breaker.

    Args:
        breaker: The argument to check.
        kind: `CircuitBreaker` for code that blocks, `AsyncCircuitBreaker` for code that awaits.

    Raises:
        InvalidArgumentError: ``breaker`` is not of this kind.
    """
    if isinstance(breaker, kind):
        return breaker
    article = "an" if kind.__name__.startswith("A") else "a"
    raise InvalidArgumentError(
        f"this integration needs {article} {kind.__name__}, got {type(breaker).__name__}: write {kind.__name__}(store)"
    )


def check_policy(label: str, policy: Any) -> BreakerPolicy:
    """Check that an argument is a `BreakerPolicy`, and return it.

    Args:
        label: The argument's name, for the error message.
        policy: The value of the argument.

    Raises:
        InvalidArgumentError: ``policy`` is not a `BreakerPolicy`.
    """
    if isinstance(policy, BreakerPolicy):
        return policy
    if isinstance(policy, Mapping):
        raise InvalidArgumentError(f"{label} must be a BreakerPolicy, not a dictionary: write BreakerPolicy(**it)")
    if policy is None:
        raise InvalidArgumentError(f"{label} must be a BreakerPolicy, got None: leave it out for the default policy")
    shown = policy.__name__ if isinstance(policy, type) else type(policy).__name__
    raise InvalidArgumentError(f"{label} must be a BreakerPolicy, got {shown}: write BreakerPolicy(…)")


def check_policies(policies: Any) -> dict[str, BreakerPolicy]:
    """Check that an argument maps breaker names to policies, and return a copy of the mapping.

    Args:
        policies: The value of the argument; ``None`` means an empty mapping.

    Raises:
        InvalidArgumentError: ``policies`` is not a mapping, or one of its values is not a `BreakerPolicy`.
        InvalidNameError: A key of ``policies`` is not a valid breaker name.
    """
    if policies is None:
        return {}
    if not isinstance(policies, Mapping):
        raise InvalidArgumentError(
            f"policies must be a dictionary, got {type(policies).__name__}: write policies={{name: BreakerPolicy(…)}}"
        )
    return {
        check_name("a name in policies", name): check_policy(f"policies[{name!r}]", policy)
        for name, policy in policies.items()
    }


def check_exceptions(label: str, given: Any) -> tuple[type[BaseException], ...]:
    """Check that an argument contains only exception classes, and return the classes as a tuple.

    Args:
        label: The argument's name, for the error message.
        given: The value of the argument: one class, or several classes in any iterable. The iterable may contain tuples
            of classes.

    Raises:
        InvalidArgumentError: ``given`` contains something that is not an exception class.
    """
    if isinstance(given, type):
        return (_check_exception(label, given),)
    if isinstance(given, (str, bytes, BaseException)) or not isinstance(given, Iterable):
        _check_exception(label, given)
    return tuple(kind for part in given for kind in _classes(label, part))


def check_counting(label: str, given: Any) -> tuple[type[BaseException], ...]:
    """Check that an argument contains only exception classes that may count as failures, and return them as a tuple.

    Args:
        label: The argument's name, for the error message.
        given: The value of the argument: one class, or several classes in any iterable.

    Raises:
        InvalidArgumentError: ``given`` contains something that is not an exception class, or a class that never counts
            as a failure (``KeyboardInterrupt``, for example).
    """
    kinds = check_exceptions(label, given)
    for kind in kinds:
        # `BaseException` and `BaseExceptionGroup` also cover exceptions that count.
        if not issubclass(kind, Exception) and kind.__name__ not in ("BaseException", "BaseExceptionGroup"):
            raise InvalidArgumentError(
                f"{label}: {kind.__name__} never counts, since it says nothing about the dependency; "
                "name classes derived from Exception"
            )
    return kinds


def check_predicate(label: str, predicate: Any) -> Callable[[Any], bool] | None:
    """Check that an argument is a function that takes one value and answers yes or no, and return it.

    Args:
        label: The argument's name, for the error message.
        predicate: The value of the argument; ``None`` means that there is no function.

    Raises:
        InvalidArgumentError: ``predicate`` is an exception class, a coroutine function, or not a function of one
            argument.
    """
    if predicate is None:
        return None
    if isinstance(predicate, type) and issubclass(predicate, BaseException):
        raise InvalidArgumentError(f"{label} must be a function: write exception classes in record_on or ignore")
    if is_coroutine_function(predicate):
        raise InvalidArgumentError(f"{label} must not be a coroutine function: nothing awaits it")
    return _check_function(label, predicate)


def check_fallback(fallback: Any, *, awaits: bool) -> Callable[[Any], Any] | None:
    """Check that an argument is a function which can answer in place of a rejected call, and return it.

    Args:
        fallback: The value of the argument: a function that receives the `CircuitBreakerOpenError`. ``None`` means that
            there is no fallback.
        awaits: Whether the breaker is an `AsyncCircuitBreaker`, which also accepts a coroutine function.

    Raises:
        InvalidArgumentError: ``fallback`` is not a function of one argument, or is a coroutine function and ``awaits``
            is false.
    """
    if fallback is None:
        return None
    if not callable(fallback):
        raise InvalidArgumentError(
            f"fallback must be a function, got {type(fallback).__name__}: write fallback=lambda refused: value"
        )
    if not awaits and is_coroutine_function(fallback):
        raise InvalidArgumentError("fallback must not be a coroutine function: only AsyncCircuitBreaker awaits it")
    return _check_function("fallback", fallback)


def check_listeners(listeners: Any, *, awaits: bool) -> list[Callable[[Any], object]]:
    """Check that an argument contains only functions which can receive events, and return them as a list.

    Args:
        listeners: The value of the argument: functions of one event in any iterable, or a single function.
        awaits: Whether the breaker is an `AsyncCircuitBreaker`, which also accepts coroutine functions.

    Raises:
        InvalidArgumentError: ``listeners`` is neither an iterable nor a function, or `check_listener` rejects one of
            them.
    """
    if callable(listeners) and not isinstance(listeners, type):
        return [check_listener(listeners, awaits=awaits)]
    if isinstance(listeners, (str, bytes, Mapping)) or not isinstance(listeners, Iterable):
        raise InvalidArgumentError(
            f"listeners must be a list, got {type(listeners).__name__}: write listeners=[function]"
        )
    return [check_listener(listener, awaits=awaits) for listener in listeners]


def check_listener(listener: Any, *, awaits: bool) -> Callable[[Any], object]:
    """Check that an argument is a function which can receive events, and return it.

    Args:
        listener: The value of the argument: a function of one event.
        awaits: Whether the breaker is an `AsyncCircuitBreaker`, which also accepts a coroutine function.

    Raises:
        InvalidArgumentError: ``listener`` is not a function of one argument, or is a coroutine function and ``awaits``
            is false.
    """
    if not callable(listener):
        hint = f": write {type(listener).__name__}(…).listener" if hasattr(listener, "listener") else ""
        raise InvalidArgumentError(f"a listener must be a function of one event, got {type(listener).__name__}{hint}")
    if not awaits and is_coroutine_function(listener):
        raise InvalidArgumentError("a listener of CircuitBreaker must not be a coroutine function: nothing awaits it")
    checked: Callable[[Any], object] = _check_function("a listener", listener)
    return checked


def check_flag(label: str, value: Any) -> bool:
    """Check that an argument is ``True`` or ``False``, and return it.

    Args:
        label: The argument's name, for the error message.
        value: The value of the argument.

    Raises:
        InvalidArgumentError: ``value`` is not ``True`` or ``False``.
    """
    if isinstance(value, bool):
        return value
    raise InvalidArgumentError(f"{label} must be True or False, got {type(value).__name__}")


def check_decorator_name(name: Any) -> str:
    """Check the breaker name in ``@breaker("billing")``, and return it.

    Raises:
        InvalidArgumentError: ``name`` is the decorated function, because the decorator was written without a name.
        InvalidNameError: ``name`` is not a valid breaker name.
    """
    if callable(name):
        shown = getattr(name, "__name__", "name")
        raise InvalidArgumentError(f'the decorator needs the breaker\'s name: write @breaker("{shown}")')
    return check_name("breaker name", name)


def check_permit(permit: Any) -> Permit:
    """Check that an argument is a permit, as `admit` returns it, and return it.

    Raises:
        InvalidArgumentError: ``permit`` is not a `Permit`.
    """
    if isinstance(permit, Permit):
        return permit
    raise InvalidArgumentError(f"permit must be what admit(name) returned, got {type(permit).__name__}")


def check_error(error: Any) -> BaseException | None:
    """Check that an argument is an exception or ``None``, and return it.

    Args:
        error: The value of the argument: the exception that a call raised.

    Raises:
        InvalidArgumentError: ``error`` is neither an exception nor ``None``.
    """
    if error is None or isinstance(error, BaseException):
        return error
    raise InvalidArgumentError(f"error must be the exception that the call raised or None, got {type(error).__name__}")


def _classes(label: str, part: Any) -> Iterable[type[BaseException]]:
    """Check one part of the argument and return its exception classes: one class, or the classes of a nested tuple.

    Args:
        label: The argument's name, for the error message.
        part: One element of the argument.
    """
    return check_exceptions(label, part) if isinstance(part, tuple) else (_check_exception(label, part),)


def _check_exception(label: str, given: Any) -> type[BaseException]:
    """Check one exception class and return it.

    Args:
        label: The argument's name, for the error message.
        given: The value to check.

    Raises:
        InvalidArgumentError: ``given`` is not an exception class.
    """
    if isinstance(given, type) and issubclass(given, BaseException):
        return given
    if isinstance(given, BaseException):
        raise InvalidArgumentError(f"{label} takes exception classes: write {type(given).__name__}, not an instance")
    if isinstance(given, str):
        raise InvalidArgumentError(f"{label} takes exception classes, not names: write the class, without quotes")
    if given is None:
        raise InvalidArgumentError(f"{label} takes exception classes, got None: leave it out for the default")
    shown = given.__name__ if isinstance(given, type) else type(given).__name__
    raise InvalidArgumentError(f"{label} takes exception classes, got {shown}: write {label}=(OSError, TimeoutError)")


def _check_function(label: str, function: Any) -> Callable[[Any], Any]:
    """Check a function of one argument and return it.

    Args:
        label: The argument's name, for the error message.
        function: The value to check.

    Raises:
        InvalidArgumentError: ``function`` is not a function of one argument.
    """
    if not callable(function):
        raise InvalidArgumentError(f"{label} must be a function of one argument, got {type(function).__name__}")
    if not takes_one_argument(function):
        raise InvalidArgumentError(f"{label} must take one argument: write lambda value: …")
    checked: Callable[[Any], Any] = function
    return checked
