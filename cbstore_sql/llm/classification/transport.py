"""Failures without an answer: timeouts and connections, of every HTTP client, known by their names.

A client need not be installed to be known, and what is installed need not be imported.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterator

from cbstore_sql.llm.classification.form import ApiFailure, FailureCategory
from cbstore_sql.llm.classification.owners import CLIENTS, PYTHON, root_of
from cbstore_sql.llm.classification.safe import words

# The caller's own mistake or limit, although some of these are transport errors or OSErrors to their clients.
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
# An SDK's name for "the HTTP client failed": what the client raised says more.
WRAPPERS = frozenset({"APIConnectionError", "APITimeoutError", "HTTPClientError", "NoResponseError"})

_UNREACHABLE = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.ECONNREFUSED, errno.EADDRNOTAVAIL}
)
_BROKEN = frozenset({errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ENOTCONN, errno.ESHUTDOWN})


def read_transport_error(error: BaseException) -> ApiFailure | None:
    """Return the failure that an exception of an HTTP client or of Python's own stands for, or ``None``."""
    if is_own_mistake(error):
        return None
    names = _names(error)
    if "APITimeoutError" in names or not names.isdisjoint(_TIMEOUTS):
        return _failure(FailureCategory.TIMEOUT, names)
    if not names.isdisjoint(WRAPPERS) or not names.isdisjoint(_CONNECTIONS):
        return _failure(FailureCategory.CONNECTION, names)
    return _of_the_system(error, names)


def is_own_mistake(error: BaseException) -> bool:
    """Whether an HTTP client refused to send what the caller asked for."""
    return any(root in CLIENTS and name in _OWN for root, name in _classes(error))


def is_wrapper(error: BaseException) -> bool:
    """Whether an exception only wraps the HTTP client's own."""
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
