"""What a backend of stores implements: a read, one atomic command, and a deletion."""

from __future__ import annotations

from abc import ABC, abstractmethod

from cbstore_sql.core import commands
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Permit, Snapshot, Transition
from cbstore_sql.errors import UnknownBreakerError
from cbstore_sql.runtime.pickling import NotPicklable

NOBODYS_PROBE = Permit("cbstore.check_writable", 0, "nobody")
"""A permit that no store returns. The release of this permit is a write whose condition never holds."""


class Backend(NotPicklable, ABC):
    """The base class of `Store` with the methods that a backend implements; their arguments are already checked.

    A backend implements `_read`, `_apply` and `_delete`, and `_history` if the backend keeps a history. A backend also
    implements `_check_writable` if its `_apply` checks the rule's condition before the write.
    """

    def _always(self, command: Command) -> Transition:
        transition = self._apply(command)
        if transition is None:
            raise AssertionError(f"{command.operation} has no condition")
        return transition

    def _existing(self, command: Command) -> Transition:
        transition = self._apply(command)
        if transition is None:
            raise UnknownBreakerError(command.name)
        return transition

    def _history(self, name: str) -> str:
        """Return a breaker's history as text (see `core.history`). A store that keeps no history returns ``""``."""
        return ""

    def _read_many(self, names: list[str], now: float | None) -> dict[str, Snapshot]:
        """Return several breakers by name. A backend overrides this method to read all breakers in one round trip."""
        return {name: self._read(name, now) for name in names}

    def _check_writable(self) -> None:
        """Check that the store accepts writes; see `check_writable`.

        By default, this method releases a probe with a permit that no store returns, so the release changes nothing.
        """
        self._apply(commands.release_probe(NOBODYS_PROBE, None))

    @abstractmethod
    def _read(self, name: str, now: float | None) -> Snapshot:
        """Return one breaker. A breaker without a row has the values of ``Row()``.

        Args:
            name: The breaker's name, already checked.
            now: The ``as_of`` of the snapshot, Unix seconds. ``None`` means the store's clock.
        """

    @abstractmethod
    def _apply(self, command: Command) -> Transition | None:
        """Carry out one command in one atomic step.

        Args:
            command: The command.

        Returns:
            The transition. ``None`` if the rule's condition does not hold, or if the breaker has no row and
            ``command.creates`` is false.
        """

    @abstractmethod
    def _delete(self, name: str) -> None:
        """Delete the row of one breaker. If there is no row, do nothing.

        Args:
            name: The breaker's name, already checked.
        """
