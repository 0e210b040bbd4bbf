"""Requests to redis-py as data, for sync and async clients."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cbstore_sql.core.model import Row

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Script:
    """One run of a registered Lua script.

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
    """One method call of the client or, within a transaction, of its pipeline."""

    method: str
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def on(self, target: Any) -> Any:
        """Make the call on a client or a pipeline. An async client returns an awaitable."""
        return getattr(target, self.method)(*self.arguments, **self.options)


@dataclass(frozen=True, slots=True)
class Transaction:
    """Calls on one pipeline. The answer is the return value of the steps.

    Attributes:
        steps: A generator that yields the calls.
        pause: Seconds to wait before the transaction, without holding a connection.
    """

    steps: Generator[Call, Any, Any]
    pause: float


@dataclass(frozen=True, slots=True)
class Missing:
    """The result of an operation that would have created a key without permission to do so.

    Attributes:
        as_of: The server's clock, Unix seconds.
    """

    as_of: float


Result = tuple[Row, float] | Missing | None
"""The breaker after an operation and the server's clock; ``None`` if the rule's condition does not hold."""

Calls = Generator[Call, Any, T]
RedisSteps = Generator["Call | Script | Transaction", Any, T]
