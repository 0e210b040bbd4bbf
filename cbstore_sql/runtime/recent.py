"""A dictionary of limited size that keeps the names that were stored last."""

from __future__ import annotations

from typing import Generic, TypeVar

V = TypeVar("V")


class RecentNames(Generic[V]):
    """A dictionary of limited size. When there are too many names, it forgets the name that was stored the longest ago.

    The caller must hold a lock during `put` and `drop`.

    Args:
        limit: The largest number of names, at least 1.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: dict[str, V] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __len__(self) -> int:
        return len(self._values)

    def get(self, name: str) -> V | None:
        """Return the value of a name, or ``None`` if the dictionary does not have the name."""
        return self._values.get(name)

    def items(self) -> list[tuple[str, V]]:
        """Return a list of all names and their values."""
        return list(self._values.items())

    def put(self, name: str, value: V) -> None:
        """Store the value of a name, and make the name the most recent name.

        Args:
            name: The name.
            value: The value. This value replaces an earlier value of the name.
        """
        self._values.pop(name, None)
        self._values[name] = value
        if len(self._values) > self._limit:
            del self._values[next(iter(self._values))]

    def drop(self, name: str) -> None:
        """Forget a name. If the dictionary does not have the name, do nothing."""
        self._values.pop(name, None)
