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
    """The base class of all errors that this library raises."""

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
    """The error of a call that the breaker rejected.

    The circuit is open, or another caller holds the probe, or an operator locked the breaker open, or a hold is in
    force, or the breaker admits only a share of the calls during its ramp.

    Attributes:
        name: The breaker's name.
        state: The state of the circuit when the breaker rejected the call: ``"open"`` or ``"half_open"``. It is
            ``"closed"`` if the call was rejected during a ramp (``ramp_up``).
        retry_after: Seconds until the breaker may admit a call, as far as the store knows; 0.0 means now.
        reason: Why the breaker rejected the call: ``"state"`` (the state of the circuit), ``"override"`` (an operator
            locked the breaker open), ``"hold"`` (the dependency asked callers to wait) or ``"ramp_up"``.
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
    """The error of a guard that was entered while another block was still inside the guard.

    Make one guard for each block.
    """


class ConfigurationError(CircuitBreakerError, ValueError):
    """The error of an argument or a setting that cannot be used.

    The library raises this error before it writes anything.
    """


class InvalidArgumentError(ConfigurationError, TypeError):
    """The error of an argument of the wrong kind, or of a function that this breaker cannot guard.

    The message says what to write instead. A guarded call can raise this error too, for example if the function
    returned a generator. Such an error says nothing about the dependency, so the breaker does not count it.
    """


class InvalidNameError(ConfigurationError):
    """The error of a breaker name, a namespace or a probe token that is not text which every store can keep."""


class InvalidPolicyError(ConfigurationError):
    """The error of a threshold or a time of a policy that is out of range."""


class InvalidStateError(ConfigurationError):
    """The error of a state, a time, a count or a permit whose value no breaker can have."""


class MissingExtraError(ConfigurationError, ImportError):
    """The error of an optional dependency that is not installed.

    Args:
        what: The feature that needs the optional dependency, as the subject of the message.
        extra: The name of the package extra that installs the optional dependency, such as ``redis``.

    Attributes:
        extra: The name of the package extra, as in ``pip install 'cbstore_sql[redis]'``.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra: pip install 'cbstore_sql[{extra}]'")
        self.extra = extra


class StoreError(CircuitBreakerError):
    """The error of an operation that the store did not carry out."""


class SchemaError(StoreError):
    """The error of a breaker table that is missing, or that is older or newer than this library."""


class StoreUnavailableError(StoreError):
    """The error of a store that is unreachable, refused the operation, or did not answer in time.

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
    """The error of an operation that the store repeated, but other writers changed the same row each time.

    The operation had no effect.
    """


class UnknownBreakerError(StoreError):
    """The error of an operation on a breaker that does not exist.

    The operation does not create breakers, and it had no effect.

    Attributes:
        name: The name that the caller passed.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no breaker {name!r}: check the name, or pass create=True to set_override")
        self.name = name


class BreakerNotStoredError(StoreError):
    """The error of a breaker that the store cannot hold. Other breakers of the same store work as before.

    The operation had no effect.
    """


class UnstorableNameError(BreakerNotStoredError):
    """The error of a breaker name with characters that the encoding of the database or of the connection does not have.

    The operation had no effect.
    """


class TooManyBreakersError(BreakerNotStoredError):
    """The error of an operation that would have added a breaker to a full namespace.

    The operation had no effect.

    Attributes:
        namespace: The name of the full namespace.
        max_breakers: How many breakers the namespace may hold.
    """

    def __init__(self, namespace: str, max_breakers: int) -> None:
        super().__init__(f"namespace {namespace!r} is full ({max_breakers} breakers): raise max_breakers or prune")
        self.namespace = namespace
        self.max_breakers = max_breakers
