"""The category of an HTTP status, for errors whose body contains nothing more exact."""

from __future__ import annotations

from collections.abc import Mapping

from cbstore_sql.llm.classification.form import FailureCategory

_FIRST_SERVER_ERROR = 500

_OF_STATUS: Mapping[int, FailureCategory | None] = {
    402: FailureCategory.QUOTA_EXHAUSTED,  # payment required
    429: FailureCategory.RATE_LIMITED,
    529: FailureCategory.OVERLOADED,  # sent by Anthropic
    **dict.fromkeys((401, 403, 407, 498), FailureCategory.AUTH),  # 498: invalid token at Cohere
    # 522, 524: sent by Cloudflare; 598, 599: sent by some proxies
    **dict.fromkeys((408, 504, 522, 524, 598, 599), FailureCategory.TIMEOUT),
    # 409: a lock timed out, and the SDKs of OpenAI and Anthropic try again; 424: a model behind the gateway failed;
    # 425: too early
    **dict.fromkeys((409, 424, 425), FailureCategory.TRANSIENT),
    # The server does not support the request and never will.
    **dict.fromkeys((501, 505, 510, 511), FailureCategory.INVALID_REQUEST),
    499: None,  # the client closed the connection, which gives no information about the API
}


def category_of_status(status: int) -> FailureCategory | None:
    """Return the category of an HTTP error status; ``None`` if the status gives no information about the API."""
    other = FailureCategory.TRANSIENT if status >= _FIRST_SERVER_ERROR else FailureCategory.INVALID_REQUEST
    return _OF_STATUS.get(status, other)
