"""A request to call a method of a store, as data. The generators that guard a call yield such requests."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class StoreCall(NamedTuple):
    """A request to call a method of a store, as data. A breaker makes the request; other code carries it out.

    Attributes:
        operation: The name of the method.
        arguments: The positional arguments of the call.
        keywords: The keyword arguments of the call.
    """

    operation: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any] = MappingProxyType({})


StoreCalls = Generator[StoreCall, Any, T]
"""A generator that yields store calls, receives their answers, and returns a `T`; see `cbstore_sql.runtime.sansio`."""
