"""A dictionary of limited size that keeps the names that were stored last."""

from __future__ import annotations

from typing import Generic, TypeVar

V = TypeVar("V")


class RecentNames(Generic[V]):
    """A dictionary of limited size. When it is full, a new name replaces the name that was stored the longest ago.

    A caller of `put` or `drop` must hold a lock. Reading needs no lock.

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
        """Return the value that is stored for a name, or ``None`` if the name is not in the dictionary.

        Reading does not make the name more recent.
        """
        return self._values.get(name)

    def items(self) -> list[tuple[str, V]]:
        """Return a list of all pairs of a name and its value, the pair that was stored the longest ago first."""
        return list(self._values.items())

    def put(self, name: str, value: V) -> None:
        """Store a value for a name. If the dictionary is full, drop the name that was stored the longest ago.

        Args:
            name: The name. It becomes the most recent name, even if it was in the dictionary before.
            value: The value. It replaces an earlier value of the name.
        """
        self._values.pop(name, None)
        self._values[name] = value
        if len(self._values) > self._limit:
            del self._values[next(iter(self._values))]

    def drop(self, name: str) -> None:
        """Remove a name and its value. If the name is not in the dictionary, do nothing."""
        self._values.pop(name, None)
