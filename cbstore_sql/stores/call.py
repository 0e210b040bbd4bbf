"""One call of a store method, as data; the generators of a guarded call yield such calls."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class StoreCall(NamedTuple):
    """A call of a store method, as data.

    Attributes:
        operation: The method's name.
        arguments: The positional arguments of the call.
        keywords: The keyword arguments of the call.
    """

    operation: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any] = MappingProxyType({})
