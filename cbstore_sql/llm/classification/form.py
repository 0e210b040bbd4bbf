"""`ApiFailure`: the description of a failed call in a form that is the same for all providers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class FailureCategory(str, Enum):
    """The kind of a failure of a language model API. The kinds are the same for all providers."""

    RATE_LIMITED = "rate_limited"
    """The caller sent too many requests or tokens in a short time. The API is healthy."""

    OVERLOADED = "overloaded"
    """The API or the model has no capacity left."""

    QUOTA_EXHAUSTED = "quota_exhausted"
    """A daily or monthly quota, the credits or the budget are used up. A retry after a short time cannot succeed."""

    AUTH = "auth"
    """The key is wrong, expired, or has no permission. All calls fail until someone changes the key."""

    INVALID_REQUEST = "invalid_request"
    """The request is wrong. The API is healthy."""

    TRANSIENT = "transient"
    """The API failed and may work again at the next attempt."""

    TIMEOUT = "timeout"
    """The answer did not arrive in time."""

    CONNECTION = "connection"
    """The client could not connect, or the connection broke."""


@dataclass(frozen=True, slots=True)
class ApiFailure:
    """The classification of one failed call, in a form that is the same for all providers.

    Attributes:
        category: The kind of the failure.
        status: The HTTP status, or the status in the body of the error. ``None`` if there is no status.
        wait: The wait in seconds that the server asks for. 0.0 means that the caller may retry at once. ``None`` if the
            server gives no time.
        should_retry: The value of the header ``x-should-retry``. ``None`` if the server did not send the header.
        maybe_billed: Whether the API may have done the work, and billed the work, although no complete answer arrived.
    """

    category: FailureCategory
    status: int | None = None
    wait: float | None = None
    should_retry: bool | None = None
    maybe_billed: bool = False

    @property
    def implied_status(self) -> int:
        """The HTTP status of the failure, or the usual HTTP status of its category.

        The usual status stands in if the failure has no status, or a status below 400. For example, it is 504 for a
        timeout.
        """
        return self.status if self.status is not None and self.status >= _FIRST_ERROR else _USUAL_STATUS[self.category]

    @property
    def as_retryable(self) -> ApiFailure:
        """A copy of this failure that the breaker may retry.

        The categories ``AUTH`` and ``INVALID_REQUEST`` become ``TRANSIENT``. With any other category, this is the same
        failure.
        """
        return replace(self, category=FailureCategory.TRANSIENT) if self.category in PERMANENT else self


PERMANENT = (FailureCategory.AUTH, FailureCategory.INVALID_REQUEST)
"""The categories for which a retry with the same key and the same request cannot succeed."""

_FIRST_ERROR = 400

_USUAL_STATUS = {
    FailureCategory.RATE_LIMITED: 429,
    FailureCategory.OVERLOADED: 503,
    FailureCategory.QUOTA_EXHAUSTED: 402,
    FailureCategory.AUTH: 401,
    FailureCategory.INVALID_REQUEST: 400,
    FailureCategory.TRANSIENT: 500,
    FailureCategory.TIMEOUT: 504,
    FailureCategory.CONNECTION: 502,
}


SEVERITY = (
    FailureCategory.QUOTA_EXHAUSTED,
    FailureCategory.RATE_LIMITED,
    FailureCategory.OVERLOADED,
    FailureCategory.TIMEOUT,
    FailureCategory.CONNECTION,
    FailureCategory.TRANSIENT,
    FailureCategory.AUTH,
    FailureCategory.INVALID_REQUEST,
)
"""The order of the categories. If a call raises several failures together, the first category in this order wins."""
