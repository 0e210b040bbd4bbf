"""The meaning of a store's exceptions: which of them begin an outage, and whether the operation had an effect."""

from __future__ import annotations

from typing import NoReturn

from cbstore_sql.errors import (
    InvalidNameError,
    InvalidPolicyError,
    InvalidStateError,
    StoreError,
    StoreUnavailableError,
)
from cbstore_sql.stores.call import StoreCall

_ARGUMENT_ERRORS = (InvalidNameError, InvalidPolicyError, InvalidStateError)


def raise_store_error(call: StoreCall, error: Exception) -> NoReturn:
    """Raise the error of a store operation: a wrong argument as it is, every other error as a `StoreError`.

    A driver, a connection hook, an encoder or a third-party store may raise any exception. The breaker catches only
    `StoreError` and then goes on without the store, so every such exception must become a `StoreError`.

    Args:
        call: The store operation that failed.
        error: What the store raised.

    Raises:
        StoreError: ``error`` itself if it is a `StoreError`; otherwise an `UnexpectedStoreError` with ``error`` inside.
        InvalidNameError: ``error`` itself, because the caller passed a wrong argument.
        InvalidPolicyError: ``error`` itself, because the caller passed a wrong argument.
        InvalidStateError: ``error`` itself, because the caller passed a wrong argument.
    """
    if isinstance(error, (StoreError, *_ARGUMENT_ERRORS)):
        raise error
    raise UnexpectedStoreError(error, applied=False if call.operation.startswith("read") else None) from error


class UnexpectedStoreError(StoreUnavailableError):
    """The error for a store operation that raised an exception which is not a `StoreError`.

    Args:
        original: The exception that the store raised.
        applied: ``False`` if the operation certainly had no effect; ``None`` if this is not known.

    Attributes:
        original: The exception that the store raised. Its text may contain secrets.
    """

    def __init__(self, original: Exception, *, applied: bool | None = None) -> None:
        super().__init__(f"the store raised {type(original).__name__}", applied=applied)
        self.original = original


def original_of(error: StoreError) -> Exception:
    """Return the exception that the store raised.

    This is the error itself, or the exception inside an `UnexpectedStoreError`.
    """
    return error.original if isinstance(error, UnexpectedStoreError) else error


def was_not_applied(error: StoreError) -> bool:
    """Return whether a store operation that failed with this error certainly had no effect."""
    return not isinstance(error, StoreUnavailableError) or error.applied is False


def described(error: StoreError) -> str:
    """Return a text about an error for the log: the class name and, if it is known, the reason.

    The text contains no secrets.
    """
    why = error.reason if isinstance(error, StoreUnavailableError) else ""
    return f"{kind_of(error)}: {why}" if why else kind_of(error)


def kind_of(error: StoreError) -> str:
    """Return the class name of the exception that the store raised, for the log.

    The log must not contain the text of the exception, because it may contain secrets.
    """
    return type(original_of(error)).__name__
