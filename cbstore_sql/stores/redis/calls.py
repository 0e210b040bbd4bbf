"""Data classes for requests to redis-py, for synchronous and asynchronous clients."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cbstore_sql.core.model import Row

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Script:
    """A request to run a registered Lua script.

    Attributes:
        operation: The operation whose script runs.
        key: The breaker's key.
        arguments: The arguments after the key.
    """

    operation: str
    key: bytes
    arguments: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Call:
    """A request to call a method of a client or, within a transaction, of a pipeline.

    Attributes:
        method: The method's name.
        arguments: The positional arguments.
        options: The keyword arguments.
    """

    method: str
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def on(self, target: Any) -> Any:
        """Make the call and return the result. An asynchronous client returns an awaitable.

        Args:
            target: The client or the pipeline.
        """
        return getattr(target, self.method)(*self.arguments, **self.options)


@dataclass(frozen=True, slots=True)
class Transaction:
    """A request to make several calls on one pipeline. The answer to the request is the return value of `steps`.

    Attributes:
        steps: A generator that yields the calls.
        pause: Seconds to wait before the transaction. No connection is held during the wait.
    """

    steps: Generator[Call, Any, Any]
    pause: float


@dataclass(frozen=True, slots=True)
class Missing:
    """The result of an operation that wrote nothing, because the key is missing and must not be created.

    Attributes:
        as_of: The server's clock, Unix seconds.
    """

    as_of: float


Result = tuple[Row, float] | Missing | None
"""The result of an operation: the row after the operation, and the server's clock in Unix seconds.

`Missing` means that the key is missing. ``None`` means that the rule's condition does not hold."""

Calls = Generator[Call, Any, T]
RedisSteps = Generator["Call | Script | Transaction", Any, T]
