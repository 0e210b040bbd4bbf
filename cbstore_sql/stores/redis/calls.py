"""Requests to Redis as data, which a synchronous or an asynchronous store carries out."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.client import NEVER_DECODE

from cbstore_sql.core.model import Transition

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """A request to call one method of a redis-py client or, in a transaction, of a pipeline. The store makes the call.

    Attributes:
        method: The name of the method.
        arguments: The positional arguments.
        options: The keyword arguments.
    """

    method: str
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def on(self, target: Any) -> Any:
        """Make the call on a client or a pipeline and return the result. An asynchronous client returns an awaitable.

        Args:
            target: The client or the pipeline.
        """
        return getattr(target, self.method)(*self.arguments, **self.options)


@dataclass(frozen=True, slots=True)
class Send:
    """A request to send one command and to return the answer with its texts as bytes, as the server sent it.

    Attributes:
        command: The name of the command and its arguments. redis-py has no special form for the answer to it.
    """

    command: tuple[Any, ...]

    def on(self, client: Any) -> Any:
        """Send the command and return the answer. An asynchronous client returns an awaitable.

        Args:
            client: The client.
        """
        return client.execute_command(*self.command, **{NEVER_DECODE: True})


@dataclass(frozen=True, slots=True)
class Transaction:
    """A request to make several calls on one redis-py pipeline. The answer is what `steps` returns.

    Attributes:
        steps: A generator that yields the calls.
        pause: Seconds to wait before the first call. The store holds no connection during the wait.
    """

    steps: Generator[Call, Any, Any]
    pause: float


@dataclass(frozen=True, slots=True)
class Missing:
    """The result of an operation that wrote nothing, because the breaker's key is missing and must not be created.

    Attributes:
        as_of: The server's clock, Unix seconds.
    """

    as_of: float


Result = Transition | Missing | None
"""The result of an operation: the transition.

`Missing` means that the key is missing. ``None`` means that the rule's condition does not hold."""

Calls = Generator[Call, Any, T]
RedisSteps = Generator["Call | Send | Transaction", Any, T]
