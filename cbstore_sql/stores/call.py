"""One call of a store method, as data: what the generators of a guarded call yield."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class StoreCall(NamedTuple):
    """One call of a store method.

    Attributes:
        operation: The method's name.
        arguments: Its positional arguments.
        keywords: Its keyword arguments.
    """

    operation: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any] = MappingProxyType({})
