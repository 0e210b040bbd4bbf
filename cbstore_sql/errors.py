"""The exceptions of the library.

::

    CircuitBreakerError
    ├── CircuitBreakerOpenError      a guarded call was refused
    ├── ConfigurationError           bad input; also a ValueError; nothing was written
    │   ├── InvalidNameError         breaker name, namespace or probe token
    │   ├── InvalidPolicyError       thresholds and times
    │   └── InvalidStateError        a state, a time or a permit that cannot be
    └── StoreError                   the store did not do what was asked
        ├── SchemaError              the table is missing or outdated
        ├── StoreUnavailableError    the store could not be reached or did not answer
        ├── StoreConflictError       still contended after every repetition; also a RuntimeError
        └── TooManyBreakersError     the namespace is full: no breaker can be added, those there go on

Messages never carry a URL, a password or the text of a driver's error: that text stays on ``__cause__``.
"""

from __future__ import annotations


class CircuitBreakerError(Exception):
    """Base of everything this library raises on its own account."""


class CircuitBreakerOpenError(CircuitBreakerError):
    """The circuit is open, or another caller holds the probe.

    Attributes:
        name: The breaker's name.
        state: Its state when the call was refused: ``"open"`` or ``"half_open"``.
        retry_after: Seconds until a call may be admitted, as far as the store can tell; 0.0 means now.
    """

    def __init__(self, message: str = "", *, name: str = "", state: str = "open", retry_after: float = 0.0) -> None:
        super().__init__(message or f"circuit breaker {name!r} is {state}; retry after {retry_after:.3f} s")
        self.name = name
        self.state = state
        self.retry_after = retry_after


class ConfigurationError(CircuitBreakerError, ValueError):
    """The input cannot be used. Raised before anything is written."""


class InvalidNameError(ConfigurationError):
    """A breaker name, namespace or probe token that not every store can keep."""


class InvalidPolicyError(ConfigurationError):
    """A threshold or a time that makes no breaker."""


class InvalidStateError(ConfigurationError):
    """A state, time, count or permit outside what a breaker can be in."""


class StoreError(CircuitBreakerError):
    """The store did not do what was asked of it."""


class SchemaError(StoreError):
    """The breaker table is missing or older than this library."""


class StoreUnavailableError(StoreError):
    """The store could not be reached, refused, or did not answer.

    Attributes:
        applied: ``False`` when the operation surely had no effect, ``None`` when that cannot be known
            (the connection was lost after the statement had been sent).
    """

    def __init__(self, message: str, *, applied: bool | None = None) -> None:
        super().__init__(message)
        self.applied = applied


class StoreConflictError(StoreError, RuntimeError):
    """Other writers won every repetition of this operation. It had no effect."""


class TooManyBreakersError(StoreError):
    """The operation would have added a breaker to a namespace that is full. It had no effect.

    Attributes:
        namespace: The namespace.
        max_breakers: How many breakers it may hold.
    """

    def __init__(self, namespace: str, max_breakers: int) -> None:
        super().__init__(f"namespace {namespace!r} holds {max_breakers} breakers already: see max_breakers")
        self.namespace = namespace
        self.max_breakers = max_breakers
