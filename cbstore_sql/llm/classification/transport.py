"""The classification of timeouts and connection errors of all HTTP clients, by the names of the exception classes.

The code recognizes the exceptions of a client without importing the client.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterator

from cbstore_sql.llm.classification.form import ApiFailure, FailureCategory
from cbstore_sql.llm.classification.owners import CLIENTS, PYTHON, root_of
from cbstore_sql.llm.classification.safe import words

# Mistakes or limits of the caller. Some clients derive these classes from a transport error or from OSError.
_OWN = words(
    """UnsupportedProtocol LocalProtocolError InvalidURL InvalidSchema MissingSchema InvalidHeader InvalidProxyURL
    LocationParseError LocationValueError PoolTimeout EmptyPoolError ClosedPoolError NonHttpUrlClientError
    UnixClientConnectorError ImproperConnectionState TooManyRedirects StreamError DecodingError
    ContentDecodingError ContentTypeError InvalidJSONError ServerFingerprintMismatch InvalidRegionError
   """
)
_NOT_SENT = words(
    """ConnectTimeout ConnectTimeoutError ConnectionTimeoutError ConnectError NewConnectionError
    ClientConnectorError EndpointConnectionError ProxyConnectionError ConnectionRefusedError gaierror
    NameResolutionError"""
)
_TIMEOUTS = words(
    """TimeoutException TimeoutError Timeout ReadTimeout ReadTimeoutError ConnectTimeout ConnectTimeoutError
    WriteTimeout ServerTimeoutError timeout"""
)
_CONNECTIONS = words(
    """NetworkError ProxyError RemoteProtocolError ConnectionError ClientConnectionError ClientPayloadError
    ProtocolError SSLError MaxRetryError NewConnectionError RemoteDisconnected IncompleteRead BadStatusLine
    ContentTooShortError ConnectionClosedError ConnectionClosed ResponseStreamingError IncompleteReadError
    ChunkedEncodingError EndpointConnectionError ProxyConnectionError gaierror herror"""
)
# The exceptions with which an SDK wraps an exception of the HTTP client. The exception of the client says more.
WRAPPERS = frozenset({"APIConnectionError", "APITimeoutError", "HTTPClientError", "NoResponseError"})

_UNREACHABLE = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.ECONNREFUSED, errno.EADDRNOTAVAIL}
)
_BROKEN = frozenset({errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ENOTCONN, errno.ESHUTDOWN})


def read_transport_error(error: BaseException) -> ApiFailure | None:
    """Classify an exception of an HTTP client or of Python as a timeout or a connection error.

    Returns:
        The failure. ``None`` if the exception is neither a timeout nor a connection error, or is a caller's mistake.
    """
    if is_own_mistake(error):
        return None
    names = _names(error)
    if "APITimeoutError" in names or not names.isdisjoint(_TIMEOUTS):
        return _failure(FailureCategory.TIMEOUT, names)
    if not names.isdisjoint(WRAPPERS) or not names.isdisjoint(_CONNECTIONS):
        return _failure(FailureCategory.CONNECTION, names)
    return _of_the_system(error, names)


def is_own_mistake(error: BaseException) -> bool:
    """Return whether an exception shows that the caller made a mistake or reached its own limit.

    Examples are an invalid URL and a connection pool that is full.
    """
    return any(root in CLIENTS and name in _OWN for root, name in _classes(error))


def is_wrapper(error: BaseException) -> bool:
    """Return whether an exception of an SDK only wraps an exception of the HTTP client.

    The wrapped exception then says more about the failure.
    """
    return not WRAPPERS.isdisjoint(name for _, name in _classes(error))


def _failure(category: FailureCategory, names: frozenset[str]) -> ApiFailure:
    return ApiFailure(category, maybe_billed=names.isdisjoint(_NOT_SENT))


def _names(error: BaseException) -> frozenset[str]:
    return frozenset(name for root, name in _classes(error) if root in CLIENTS or root in PYTHON or name in WRAPPERS)


def _classes(error: BaseException) -> Iterator[tuple[str, str]]:
    for kind in type(error).__mro__:
        yield root_of(kind), kind.__name__


def _of_the_system(error: BaseException, names: frozenset[str]) -> ApiFailure | None:
    if isinstance(error, ssl.SSLError):
        return ApiFailure(FailureCategory.CONNECTION)
    if not isinstance(error, OSError):
        return None
    if error.errno == errno.ETIMEDOUT:
        return ApiFailure(FailureCategory.TIMEOUT)
    if error.errno in _UNREACHABLE:
        return ApiFailure(FailureCategory.CONNECTION)
    return ApiFailure(FailureCategory.CONNECTION, maybe_billed=True) if error.errno in _BROKEN else None
