"""Checks of a breaker's arguments: each returns the value to use, or raises an error that says what to write."""

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
"""Exception classes: one, or any number in a tuple, a list or another iterable."""


def check_store(store: Any, *, awaits: bool) -> Any:
    """Return a store that a breaker can use.

    Args:
        store: The argument.
        awaits: Whether the breaker is an `AsyncCircuitBreaker`, which takes a store of either kind.

    Raises:
        InvalidArgumentError: It is not a store of a suitable kind. A URL is not repeated: it may hold a password.
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


def check_policy(label: str, policy: Any) -> BreakerPolicy:
    """Return a policy.

    Raises:
        InvalidArgumentError: It is not a `BreakerPolicy`.
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
    """Return a copy of the policies by breaker name; ``None`` gives none.

    Raises:
        InvalidArgumentError: It is not a mapping of names to policies.
        InvalidNameError: A name cannot be a breaker's.
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
    """Return exception classes as a tuple.

    Args:
        label: The argument's name.
        given: One class, or several in any iterable.

    Raises:
        InvalidArgumentError: Something in it is not an exception class.
    """
    if isinstance(given, type):
        return (_check_exception(label, given),)
    if isinstance(given, (str, bytes, BaseException)) or not isinstance(given, Iterable):
        _check_exception(label, given)
    return tuple(kind for part in given for kind in _classes(label, part))


def check_counting(label: str, given: Any) -> tuple[type[BaseException], ...]:
    """Return exception classes that can count as failures; see `check_exceptions`.

    Raises:
        InvalidArgumentError: Something in it is not an exception class, or is one that never counts.
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
    """Return a predicate of one argument; ``None`` stays ``None``.

    Raises:
        InvalidArgumentError: It is not a function of one argument that answers without being awaited.
    """
    if predicate is None:
        return None
    if isinstance(predicate, type) and issubclass(predicate, BaseException):
        raise InvalidArgumentError(f"{label} must be a function: write exception classes in record_on or ignore")
    if is_coroutine_function(predicate):
        raise InvalidArgumentError(f"{label} must not be a coroutine function: nothing awaits it")
    return _check_function(label, predicate)


def check_fallback(fallback: Any, *, awaits: bool) -> Callable[[Any], Any] | None:
    """Return a fallback; ``None`` stays ``None``.

    Args:
        fallback: The argument.
        awaits: Whether the breaker is an `AsyncCircuitBreaker`, which awaits what the fallback returns.

    Raises:
        InvalidArgumentError: It is not a function of one argument, or a coroutine function that nothing awaits.
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
    """Return listeners as a list; a single function is taken too. See `check_listener`.

    Raises:
        InvalidArgumentError: Something in it is not a listener.
    """
    if callable(listeners) and not isinstance(listeners, type):
        return [check_listener(listeners, awaits=awaits)]
    if isinstance(listeners, (str, bytes, Mapping)) or not isinstance(listeners, Iterable):
        raise InvalidArgumentError(
            f"listeners must be a list, got {type(listeners).__name__}: write listeners=[function]"
        )
    return [check_listener(listener, awaits=awaits) for listener in listeners]


def check_listener(listener: Any, *, awaits: bool) -> Callable[[Any], object]:
    """Return a listener.

    Args:
        listener: The argument.
        awaits: Whether the breaker is an `AsyncCircuitBreaker`, which awaits coroutine functions.

    Raises:
        InvalidArgumentError: It is not a function of one argument, or a coroutine function that nothing awaits.
    """
    if not callable(listener):
        hint = f": write {type(listener).__name__}(…).listener" if hasattr(listener, "listener") else ""
        raise InvalidArgumentError(f"a listener must be a function of one event, got {type(listener).__name__}{hint}")
    if not awaits and is_coroutine_function(listener):
        raise InvalidArgumentError("a listener of CircuitBreaker must not be a coroutine function: nothing awaits it")
    checked: Callable[[Any], object] = _check_function("a listener", listener)
    return checked


def check_flag(label: str, value: Any) -> bool:
    """Return a switch.

    Raises:
        InvalidArgumentError: It is not ``True`` or ``False``.
    """
    if isinstance(value, bool):
        return value
    raise InvalidArgumentError(f"{label} must be True or False, got {type(value).__name__}")


def check_decorator_name(name: Any) -> str:
    """Return the name that a decorator was given.

    Raises:
        InvalidArgumentError: The decorator was used without a name.
        InvalidNameError: It cannot be a breaker's name.
    """
    if callable(name):
        shown = getattr(name, "__name__", "name")
        raise InvalidArgumentError(f'the decorator needs the breaker\'s name: write @breaker("{shown}")')
    return check_name("breaker name", name)


def check_permit(permit: Any) -> Permit:
    """Return a permit.

    Raises:
        InvalidArgumentError: It is not what `admit` or a guard returned.
    """
    if isinstance(permit, Permit):
        return permit
    raise InvalidArgumentError(f"permit must be what admit(name) returned, got {type(permit).__name__}")


def check_error(error: Any) -> BaseException | None:
    """Return the error of a failed call; ``None`` stays ``None``.

    Raises:
        InvalidArgumentError: It is not an exception.
    """
    if error is None or isinstance(error, BaseException):
        return error
    raise InvalidArgumentError(f"error must be the exception that the call raised or None, got {type(error).__name__}")


def _classes(label: str, part: Any) -> Iterable[type[BaseException]]:
    """Return one class, or those of a tuple within the argument, which ``except`` would take as well."""
    return check_exceptions(label, part) if isinstance(part, tuple) else (_check_exception(label, part),)


def _check_exception(label: str, given: Any) -> type[BaseException]:
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
    if not callable(function):
        raise InvalidArgumentError(f"{label} must be a function of one argument, got {type(function).__name__}")
    if not takes_one_argument(function):
        raise InvalidArgumentError(f"{label} must take one argument: write lambda value: …")
    checked: Callable[[Any], Any] = function
    return checked
