"""What a store's exception means for a guarded call: which ones begin an outage, and what is known of their effect."""

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
    """Raise the `StoreError` for whatever a store raised.

    A driver, a connection hook, an encoder or a store of someone else may raise anything. All of it means that the
    store did not do its work, and none of it may stop a guarded call.

    Args:
        call: What the store was asked.
        error: What it raised. It is raised unchanged if it is a `StoreError`, or if an argument of the caller is wrong.
    """
    if isinstance(error, (StoreError, *_ARGUMENT_ERRORS)):
        raise error
    raise UnexpectedStoreError(error, applied=False if call.operation.startswith("read") else None) from error


class UnexpectedStoreError(StoreUnavailableError):
    """The store raised something other than a `StoreError`.

    Attributes:
        original: What it raised. Its text may hold secrets.
    """

    def __init__(self, original: Exception, *, applied: bool | None = None) -> None:
        super().__init__(f"the store raised {type(original).__name__}", applied=applied)
        self.original = original


def original_of(error: StoreError) -> Exception:
    """Return what the store itself raised."""
    return error.original if isinstance(error, UnexpectedStoreError) else error


def was_not_applied(error: StoreError) -> bool:
    """Return whether an operation that failed with this error certainly had no effect."""
    return not isinstance(error, StoreUnavailableError) or error.applied is False


def described(error: StoreError) -> str:
    """Return what the log says about an error: its class, and why in words that contain no secret."""
    why = error.reason if isinstance(error, StoreUnavailableError) else ""
    return f"{kind_of(error)}: {why}" if why else kind_of(error)


def kind_of(error: StoreError) -> str:
    """Return the class name to log and to report in `StoreDegraded`; an error's text may hold secrets."""
    return type(original_of(error)).__name__
