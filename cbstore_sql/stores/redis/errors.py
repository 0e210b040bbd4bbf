"""The translation of redis-py errors into the errors of this library."""

from __future__ import annotations

import re
from typing import Any

from redis import exceptions

from cbstore_sql.errors import StoreError, StoreUnavailableError

# redis-py removes the code from the text if redis-py has a class for the code. Errors from inside a script keep the
# code in the text.
_CODES: dict[type[Exception], str] = {
    exceptions.ReadOnlyError: "READONLY",
    exceptions.BusyLoadingError: "LOADING",
    exceptions.OutOfMemoryError: "OOM",
    exceptions.NoPermissionError: "NOPERM",
    exceptions.TryAgainError: "TRYAGAIN",
    exceptions.MasterDownError: "MASTERDOWN",
    exceptions.ClusterDownError: "CLUSTERDOWN",
}

# The server cannot accept the command now and refuses the whole command. Nothing was written.
_NOT_NOW = "READONLY|LOADING|OOM|BUSY|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN"

_CODE = re.compile(rf"\b({_NOT_NOW}|NOPERM|WRONGTYPE)\b")

# Redis 6 returns no code if the user lacks a permission inside a script.
_DENIED_IN_SCRIPT = "The user executing the script can't"

_NO_SCRIPTING = re.compile(r"lupa|unknown (redis )?command\b(?=.*eval)|unknown command\W+script", re.DOTALL)

_REASONS = {
    "NOPERM": "the Redis user may not use a command or key that the store needs (NOPERM)",
    "WRONGTYPE": "the breaker's key holds something other than a hash (WRONGTYPE)",
}


def is_scripting_unavailable(error: Exception) -> bool:
    """Return whether Redis refused a Lua script because the server or the client cannot run scripts.

    Args:
        error: The error of redis-py.
    """
    return _NO_SCRIPTING.search(str(error).lower()) is not None


def says_nothing_of_writes(error: Exception) -> bool:
    """Return whether an error concerns only one command or key, so that other writes may still succeed.

    The result is ``True`` if the user lacks permission for the command, or if the key holds a value of a wrong type.

    Args:
        error: The error of redis-py.
    """
    return _code(error) in _REASONS


class translated:
    """Run a block, and raise this library's errors in place of redis-py's. The redis-py error becomes the cause.

    Args:
        client: The client that the block uses. The ``applied`` of an error says whether the command had an effect. If
            the client may send a command twice, ``applied`` is mostly ``None`` (unknown) in place of ``False``.

    Raises:
        StoreUnavailableError: The server is unreachable, did not answer, or cannot accept the command now.
        StoreError: The server refused the command for another reason.
    """

    # Every operation enters this block. `contextlib.contextmanager` would take three times as long.
    __slots__ = ("_client",)

    def __init__(self, client: Any) -> None:
        self._client = client

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, (exceptions.RedisError, exceptions.RedisClusterException)):
            raise _translate(error, False if _sends_once(self._client) else None) from error


def _translate(error: Exception, not_applied: bool | None) -> StoreError:
    code = _code(error)
    if code in _REASONS:
        return StoreError(_REASONS[code])
    if code:
        return _unavailable(f"the Redis server takes no such command now ({code})", not_applied)
    if isinstance(error, exceptions.MaxConnectionsError):
        return _unavailable("no connection to Redis became free in the pool", applied=False)
    if isinstance(error, _UNREACHABLE):
        applied = not_applied if _is_before_sending(error) else None
        return _unavailable(f"{_why(error)} ({type(error).__name__})", applied)
    return StoreError(f"the Redis server refused the command ({type(error).__name__})")


def _unavailable(why: str, applied: bool | None) -> StoreUnavailableError:
    return StoreUnavailableError(why, applied=applied, reason=why)


_UNREACHABLE = (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.RedisClusterException)


def _why(error: Exception) -> str:
    if "certificate verify failed" in str(error):
        return "the Redis server's TLS certificate is not accepted"
    return "the Redis server cannot be reached or does not answer"


def _code(error: Exception) -> str:
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code
    if not isinstance(error, exceptions.ResponseError):
        return ""
    if _DENIED_IN_SCRIPT in str(error):
        return "NOPERM"
    found = _CODE.search(str(error))
    return found[1] if found else ""


def _is_before_sending(error: Exception) -> bool:
    return isinstance(error, exceptions.AuthenticationError) or "connecting to" in str(error)


def _sends_once(client: Any) -> bool:
    retry: Any = getattr(client, "get_retry", lambda: None)()
    return hasattr(retry, "get_retries") and bool(retry.get_retries() == 0)
