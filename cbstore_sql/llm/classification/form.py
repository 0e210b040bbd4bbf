"""The neutral form of a failed call: what every provider's error is translated into."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class FailureCategory(str, Enum):
    """What went wrong, in terms that fit every provider."""

    RATE_LIMITED = "rate_limited"
    """Too many requests or tokens for now. The API is healthy."""

    OVERLOADED = "overloaded"
    """The API or the model has no capacity left."""

    QUOTA_EXHAUSTED = "quota_exhausted"
    """A daily or monthly quota, the credits or the budget are used up. Retrying soon cannot help."""

    AUTH = "auth"
    """The key is wrong, expired, or has no permission. Permanent until someone changes it."""

    INVALID_REQUEST = "invalid_request"
    """The request itself is at fault. The API is healthy."""

    TRANSIENT = "transient"
    """The API failed and may work again at the next attempt."""

    TIMEOUT = "timeout"
    """No answer came in time."""

    CONNECTION = "connection"
    """The connection could not be made, or broke."""


@dataclass(frozen=True, slots=True)
class ApiFailure:
    """What one failed call says.

    Attributes:
        category: What went wrong.
        status: The HTTP status, or the one that the error's body names. ``None`` without one.
        wait: Seconds the server asks the caller to wait. ``None`` when it does not say, 0.0 when it says "at once".
        should_retry: What the server says about a retry (``x-should-retry``). ``None`` when it does not say.
        maybe_billed: Whether the API may have done the work, and billed it, although no complete answer arrived.
    """

    category: FailureCategory
    status: int | None = None
    wait: float | None = None
    should_retry: bool | None = None
    maybe_billed: bool = False

    @property
    def implied_status(self) -> int:
        """The HTTP status, or the usual one of the category where the failure came without one."""
        return self.status if self.status is not None and self.status >= _FIRST_ERROR else _USUAL_STATUS[self.category]

    @property
    def as_retryable(self) -> ApiFailure:
        """The failure, as the API's own where its category blames the caller."""
        return replace(self, category=FailureCategory.TRANSIENT) if self.category in PERMANENT else self


PERMANENT = (FailureCategory.AUTH, FailureCategory.INVALID_REQUEST)
"""What no retry with the same key or the same request can change."""

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
"""Of several failures raised together, the first in this order decides."""
