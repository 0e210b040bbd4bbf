"""What a step of an operation can want of redis-py, whichever its colour."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cbstore_sql.core.model import Row

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Script:
    """A run of a registered script.

    Attributes:
        operation: Whose script.
        key: The one it works on.
        arguments: After the key.
    """

    operation: str
    key: bytes
    arguments: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a method of the client or, within a transaction, of its pipeline."""

    method: str
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def on(self, target: Any) -> Any:
        """Make it; of an asynchronous client the answer is to be awaited."""
        return getattr(target, self.method)(*self.arguments, **self.options)


@dataclass(frozen=True, slots=True)
class Transaction:
    """Calls on one pipeline; the answer is what their steps return.

    Attributes:
        steps: The calls.
        pause: Seconds to wait before it, without holding a connection.
    """

    steps: Generator[Call, Any, Any]
    pause: float


@dataclass(frozen=True, slots=True)
class Missing:
    """In place of a result: the operation would have made a key and was not allowed to.

    Attributes:
        as_of: The server's clock, Unix seconds.
    """

    as_of: float


Result = tuple[Row, float] | Missing | None
"""The breaker after an operation and the clock; ``None`` where the rule's condition does not hold."""

Calls = Generator[Call, Any, T]
RedisSteps = Generator["Call | Script | Transaction", Any, T]
