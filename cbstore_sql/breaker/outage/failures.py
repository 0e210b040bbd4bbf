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
    """Raise a `StoreError` for an error that a store raised.

    A driver, a connection hook, an encoder or a third-party store may raise any exception. Each of them means that the
    store did not do its work, and must not stop a guarded call.

    Args:
        call: The store call that failed.
        error: The error that the store raised. A `StoreError` is raised unchanged, and so is an error about an argument
            of the caller.

    Raises:
        StoreError: The error, or an `UnexpectedStoreError` that wraps the error.
        InvalidNameError: The error, unchanged.
        InvalidPolicyError: The error, unchanged.
        InvalidStateError: The error, unchanged.
    """
    if isinstance(error, (StoreError, *_ARGUMENT_ERRORS)):
        raise error
    raise UnexpectedStoreError(error, applied=False if call.operation.startswith("read") else None) from error


class UnexpectedStoreError(StoreUnavailableError):
    """The error for a store that raised something other than a `StoreError`.

    Args:
        original: The exception that the store raised.
        applied: Whether the operation had an effect; ``None`` if this is not known.

    Attributes:
        original: The exception that the store raised. Its text may contain secrets.
    """

    def __init__(self, original: Exception, *, applied: bool | None = None) -> None:
        super().__init__(f"the store raised {type(original).__name__}", applied=applied)
        self.original = original


def original_of(error: StoreError) -> Exception:
    """Return the exception that the store itself raised."""
    return error.original if isinstance(error, UnexpectedStoreError) else error


def was_not_applied(error: StoreError) -> bool:
    """Return whether an operation that failed with ``error`` certainly had no effect."""
    return not isinstance(error, StoreUnavailableError) or error.applied is False


def described(error: StoreError) -> str:
    """Return the log text for an error: the class name, and the reason without secrets."""
    why = error.reason if isinstance(error, StoreUnavailableError) else ""
    return f"{kind_of(error)}: {why}" if why else kind_of(error)


def kind_of(error: StoreError) -> str:
    """Return the class name of the store's exception, for the log. The exception's text may contain secrets."""
    return type(original_of(error)).__name__
