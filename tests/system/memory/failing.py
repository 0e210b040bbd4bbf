"""A store that a test can make fail."""

from __future__ import annotations

from cbstore_sql import Snapshot, Store, StoreUnavailableError, Transition
from cbstore_sql.core.commands import Command


class FailingStore(Store):
    """A store that forwards every operation to another store, unless ``fails`` is set."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.namespace)
        self._store = store
        self.fails = False

    def _used(self) -> Store:
        if self.fails:
            raise StoreUnavailableError("it fails on purpose", applied=False)
        return self._store

    def _read(self, name: str, now: float | None) -> Snapshot:
        return self._used()._read(name, now)

    def _apply(self, command: Command) -> Transition | None:
        return self._used()._apply(command)

    def _delete(self, name: str) -> None:
        self._used()._delete(name)

    def _check_writable(self) -> None:
        self._used()._check_writable()
