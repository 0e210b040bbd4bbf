"""A request to call a method of a store, as data. The generators that guard a call yield such requests."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


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
