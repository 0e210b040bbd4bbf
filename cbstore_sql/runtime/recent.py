"""A dictionary that remembers the names used last, so that names used once do not fill the memory."""

from __future__ import annotations

from typing import Generic, TypeVar

V = TypeVar("V")


class RecentNames(Generic[V]):
    """Values by name; when there are too many, the name that was put the longest ago is forgotten.

    The caller holds a lock while it puts or drops.

    Args:
        limit: How many names to remember, at least 1.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: dict[str, V] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __len__(self) -> int:
        return len(self._values)

    def get(self, name: str) -> V | None:
        """Return the value of a name, or ``None`` if the name is not remembered."""
        return self._values.get(name)

    def items(self) -> list[tuple[str, V]]:
        """Return every name with its value."""
        return list(self._values.items())

    def put(self, name: str, value: V) -> None:
        """Remember a value as the most recent one."""
        self._values.pop(name, None)
        self._values[name] = value
        if len(self._values) > self._limit:
            del self._values[next(iter(self._values))]

    def drop(self, name: str) -> None:
        """Forget a name."""
        self._values.pop(name, None)
