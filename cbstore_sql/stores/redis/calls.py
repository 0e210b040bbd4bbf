"""Requests to redis-py as data, for synchronous and asynchronous clients."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cbstore_sql.core.model import Row

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Script:
    """A run of a registered Lua script, as data.

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
    """A method call on a client or, within a transaction, on a pipeline, as data.

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
    """A sequence of calls on one pipeline. The answer to this request is the return value of `steps`.

    Attributes:
        steps: A generator that yields the calls.
        pause: Seconds to wait before the transaction. No connection is held during the wait.
    """

    steps: Generator[Call, Any, Any]
    pause: float


@dataclass(frozen=True, slots=True)
class Missing:
    """The result of an operation that needed to create a key but was not allowed to create a key.

    Attributes:
        as_of: The server's clock, Unix seconds.
    """

    as_of: float


Result = tuple[Row, float] | Missing | None
"""The result of an operation: the breaker after the operation, and the server's clock in Unix seconds.

``None`` means that the rule's condition does not hold."""

Calls = Generator[Call, Any, T]
RedisSteps = Generator["Call | Script | Transaction", Any, T]
