"""Which of our errors a Redis error becomes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import exceptions

from cbstore_sql.errors import StoreError, StoreUnavailableError

# redis-py takes the code off the text where it has a class for it; errors from inside a script keep it in the text.
_CODES: dict[type[Exception], str] = {
    exceptions.ReadOnlyError: "READONLY",
    exceptions.BusyLoadingError: "LOADING",
    exceptions.OutOfMemoryError: "OOM",
    exceptions.NoPermissionError: "NOPERM",
    exceptions.TryAgainError: "TRYAGAIN",
    exceptions.MasterDownError: "MASTERDOWN",
    exceptions.ClusterDownError: "CLUSTERDOWN",
}

# Refused as a whole for now: the server is in no state to take the write, and nothing was written.
_NOT_NOW = "READONLY|LOADING|OOM|BUSY|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN"

_CODE = re.compile(rf"\b({_NOT_NOW}|NOPERM|WRONGTYPE)\b")

# Redis 6 gives no code for what the user may not do inside a script.
_DENIED_IN_SCRIPT = "The user executing the script can't"

_NO_SCRIPTING = re.compile(r"lupa|unknown (redis )?command\b(?=.*eval)|unknown command\W+script", re.DOTALL)

_REASONS = {
    "NOPERM": "the Redis user may not use a command or key that the store needs (NOPERM)",
    "WRONGTYPE": "the breaker's key holds something other than a hash (WRONGTYPE)",
}


def is_scripting_unavailable(error: Exception) -> bool:
    """Return whether a script was refused because the server or the client has no Lua."""
    return _NO_SCRIPTING.search(str(error).lower()) is not None


def says_nothing_of_writes(error: Exception) -> bool:
    """Return whether a refused command says nothing about other writes: no permission for it, or a wrong type."""
    return _code(error) in _REASONS


@contextmanager
def translated(client: Any) -> Iterator[None]:
    """Turn errors of redis-py in this block into ours, with the original as the cause.

    Args:
        client: The client used in the block. If it may send a command twice, no error says that a command had no
            effect.
    """
    try:
        yield
    except (exceptions.RedisError, exceptions.RedisClusterException) as error:
        raise _translate(error, False if _sends_once(client) else None) from error


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
