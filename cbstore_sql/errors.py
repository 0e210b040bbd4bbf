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

Messages never contain a URL, a password or a driver's text. The driver's error is on ``__cause__``. All errors can be
pickled and copied.
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
    """Base class of all errors that this library raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the class with `args`, which fits no constructor that composes its message.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[CircuitBreakerError], args: tuple[Any, ...], state: dict[str, Any]) -> CircuitBreakerError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class CircuitBreakerOpenError(CircuitBreakerError):
    """A call was rejected: the circuit is open, another caller holds the probe, or the circuit is on its ramp.

    Attributes:
        name: The breaker's name.
        state: The breaker's state when the call was rejected: ``"open"`` or ``"half_open"``; ``"closed"`` while a
            ``ramp_up`` admits a share of the calls.
        retry_after: Seconds until a call may be admitted, as far as the store can tell; 0.0 means now.
        reason: What rejected the call: ``"state"``, ``"override"`` (an operator locked the breaker open), ``"hold"``
            (the dependency asked to wait) or ``"ramp_up"``.
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
    """A guard was entered while another block is still inside it. Make one guard for each block."""


class ConfigurationError(CircuitBreakerError, ValueError):
    """An argument or a setting is unusable. Raised before anything is written."""


class InvalidArgumentError(ConfigurationError, TypeError):
    """An argument is of the wrong kind, or a function is one that this breaker cannot guard.

    The message says what to write instead. Raised during a guarded call (the function returned a generator, say), it
    says nothing about the dependency and does not count.
    """


class InvalidNameError(ConfigurationError):
    """A breaker name, namespace or probe token is not text that every store can keep."""


class InvalidPolicyError(ConfigurationError):
    """A threshold or a time of a policy is out of range."""


class InvalidStateError(ConfigurationError):
    """A state, time, count or permit has a value that no breaker can have."""


class MissingExtraError(ConfigurationError, ImportError):
    """An optional dependency is not installed.

    Attributes:
        extra: The extra that installs it, as in ``pip install 'cbstore_sql[redis]'``.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra: pip install 'cbstore_sql[{extra}]'")
        self.extra = extra


class StoreError(CircuitBreakerError):
    """The store did not carry out an operation."""


class SchemaError(StoreError):
    """The breaker table is missing, or older or newer than this library."""


class StoreUnavailableError(StoreError):
    """The store is unreachable, refused the operation, or did not answer in time.

    Attributes:
        applied: ``False`` if the operation certainly had no effect. ``None`` if the outcome is unknown because
            the connection was lost after the statement was sent.
        reason: Why, in this library's own words, which contain no secret: the log line about an outage has them. ``""``
            if it is not known, or if a store of someone else raised the error.
    """

    def __init__(self, message: str, *, applied: bool | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.applied = applied
        self.reason = reason


class StoreConflictError(StoreError, RuntimeError):
    """Other writers won every retry of this operation. It had no effect."""


class UnknownBreakerError(StoreError):
    """The operation needs an existing breaker, and no breaker has this name. It had no effect.

    Attributes:
        name: The name that the caller passed.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no breaker {name!r}: check the name, or pass create=True to set_override")
        self.name = name


class BreakerNotStoredError(StoreError):
    """The store cannot hold this breaker; the others go on working. The operation had no effect."""


class UnstorableNameError(BreakerNotStoredError):
    """The database's encoding, or that of the connection, has no such characters as the breaker's name."""


class TooManyBreakersError(BreakerNotStoredError):
    """The operation would have added a breaker to a full namespace. It had no effect.

    Attributes:
        namespace: The namespace.
        max_breakers: How many breakers the namespace may hold.
    """

    def __init__(self, namespace: str, max_breakers: int) -> None:
        super().__init__(f"namespace {namespace!r} is full ({max_breakers} breakers): raise max_breakers or prune")
        self.namespace = namespace
        self.max_breakers = max_breakers
