"""The exceptions of the library.

::

    CircuitBreakerError
    ├── CircuitBreakerOpenError      a guarded call was rejected
    ├── GuardInUseError              a guard was entered twice; also a RuntimeError
    ├── ConfigurationError           bad input; also a ValueError; nothing was written
    │   ├── InvalidArgumentError     an argument of the wrong kind; also a TypeError
    │   ├── InvalidNameError         breaker name, namespace or probe token
    │   ├── InvalidPolicyError       thresholds and times
    │   ├── InvalidStateError        an impossible state, time, count or permit
    │   └── MissingExtraError        an optional dependency is not installed; also an ImportError
    └── StoreError                   the store did not carry out an operation
        ├── SchemaError              the table is missing or outdated
        ├── StoreUnavailableError    the store is unreachable or did not answer in time
        ├── StoreConflictError       other writers won every retry; also a RuntimeError
        ├── UnknownBreakerError      the breaker does not exist, and the operation does not create it
        └── BreakerNotStoredError    the store cannot hold this one breaker; the others go on working
            ├── TooManyBreakersError the namespace is full
            └── UnstorableNameError  the database's encoding has no such characters

Messages never contain a URL, a password or a driver's text. The attribute ``__cause__`` holds the driver's
error. All errors can be pickled and copied.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BreakerNotStoredError",
    "CircuitBreakerError",
    "CircuitBreakerOpenError",
    "ConfigurationError",
    "GuardInUseError",
    "InvalidArgumentError",
    "InvalidNameError",
    "InvalidPolicyError",
    "InvalidStateError",
    "MissingExtraError",
    "SchemaError",
    "StoreConflictError",
    "StoreError",
    "StoreUnavailableError",
    "TooManyBreakersError",
    "UnstorableNameError",
]


class CircuitBreakerError(Exception):
    """The base class of all errors that this library raises. Catch it to handle all of them."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The default `__reduce__` calls the class with `args`. A constructor that composes the message has other
        # parameters, so the default fails for such a class.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[CircuitBreakerError], args: tuple[Any, ...], state: dict[str, Any]) -> CircuitBreakerError:
    """Make an error of class `kind` without a call of the constructor of `kind`; pickle and copy use this function.

    Args:
        kind: The class of the error.
        args: The ``args`` of the error.
        state: The attributes of the error.
    """
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class CircuitBreakerOpenError(CircuitBreakerError):
    """The error that a breaker raises when it rejects a call. The guarded function was not called.

    The breaker rejects a call while the circuit is open or another caller makes the probe (the call that tests the
    dependency). It also rejects calls if an operator has set the override ``open``, if the dependency has asked callers
    to wait, and some calls in the time after the circuit closed (``ramp_up``).

    Attributes:
        name: The breaker's name.
        state: The state of the circuit when the breaker rejected the call: ``"open"`` or ``"half_open"``. It is
            ``"closed"`` if the call was rejected during a ramp (``ramp_up``).
        retry_after: Seconds until the breaker may admit a call, as far as the store knows; 0.0 means now.
        reason: Why the breaker rejected the call: ``"state"`` (the state of the circuit), ``"override"`` (an operator
            has set the override ``open``), ``"hold"`` (the dependency asked callers to wait) or ``"ramp_up"``.
    """

    def __init__(
        self,
        message: str = "",
        *,
        name: str = "",
        state: str = "open",
        retry_after: float = 0.0,
        reason: str = "state",
    ) -> None:
        super().__init__(message or f"circuit breaker {name!r} is {state}; retry after {retry_after:.3f} s")
        self.name = name
        self.state = state
        self.retry_after = retry_after
        self.reason = reason


class GuardInUseError(CircuitBreakerError, RuntimeError):
    """The error for a caller that enters a guard while another block is still inside the same guard.

    Make one guard for each block.
    """


class ConfigurationError(CircuitBreakerError, ValueError):
    """The error for an argument or a setting that the library cannot use.

    The library raises this error before it writes anything.
    """


class InvalidArgumentError(ConfigurationError, TypeError):
    """The error for an argument of the wrong type, or for a function that a breaker cannot guard.

    The message says what to write instead. A guarded call can raise this error too, for example if the function
    returned a generator. Such an error says nothing about the dependency, so the breaker does not count it.
    """


class InvalidNameError(ConfigurationError):
    """The error for a breaker name, a namespace or a probe token that is not valid.

    A valid name is text that every kind of store can keep. The message says which rule the name breaks.
    """


class InvalidPolicyError(ConfigurationError):
    """The error for a threshold or a time that is out of range, such as a negative ``recovery_timeout``."""


class InvalidStateError(ConfigurationError):
    """The error for a state, a time, a count or a permit that cannot exist, such as a negative failure count."""


class MissingExtraError(ConfigurationError, ImportError):
    """The error for a feature that needs a package which is not installed.

    Args:
        what: The feature, as the subject of the message, such as ``"the exporter"``.
        extra: The extra of this library that installs the package, such as ``"redis"``.

    Attributes:
        extra: The name of the extra, as in ``pip install 'cbstore_sql[redis]'``.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra: pip install 'cbstore_sql[{extra}]'")
        self.extra = extra


class StoreError(CircuitBreakerError):
    """The error for an operation that the store did not carry out. The subclasses say why."""


class SchemaError(StoreError):
    """The error for a breaker table that is missing, or that is older or newer than this library.

    For a missing or older table, `migrate` helps. For a newer table, a newer version of the library helps.
    """


class StoreUnavailableError(StoreError):
    """The error for a store that cannot be reached, refuses an operation, or does not answer in time.

    Args:
        message: The text of the error.
        applied: Whether the operation had an effect; see the attribute ``applied``.
        reason: Why the store is unavailable; see the attribute ``reason``.

    Attributes:
        applied: ``False`` if the operation certainly had no effect. ``None`` if the outcome is unknown, for example
            because the connection was lost after the store had sent the statement.
        reason: Why the store is unavailable, in this library's own words. The text contains no secret, so the log line
            about an outage shows it. ``""`` if the reason is unknown, or if a store from outside this library raised
            the error.
    """

    def __init__(self, message: str, *, applied: bool | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.applied = applied
        self.reason = reason


class StoreConflictError(StoreError, RuntimeError):
    """The error for an operation that failed on every attempt because other writers changed the same row.

    The operation had no effect. The caller may try it again.
    """


class UnknownBreakerError(StoreError):
    """The error for an operation on a breaker that the store does not have, if the operation does not create breakers.

    The operation had no effect.

    Attributes:
        name: The name that the caller passed.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no breaker {name!r}: check the name, or pass create=True to set_override")
        self.name = name


class BreakerNotStoredError(StoreError):
    """The error for one breaker that the store cannot keep. Other breakers of the same store work as before.

    The operation had no effect. The subclasses say why.
    """


class UnstorableNameError(BreakerNotStoredError):
    """The error for a breaker name with characters that the database cannot encode.

    The encoding of the database or of the connection does not have these characters. The operation had no effect.
    """


class TooManyBreakersError(BreakerNotStoredError):
    """The error for a new breaker in a namespace that already has the largest number of breakers.

    The operation had no effect.

    Attributes:
        namespace: The name of the full namespace.
        max_breakers: How many breakers the namespace may have.
    """

    def __init__(self, namespace: str, max_breakers: int) -> None:
        super().__init__(f"namespace {namespace!r} is full ({max_breakers} breakers): raise max_breakers or prune")
        self.namespace = namespace
        self.max_breakers = max_breakers
