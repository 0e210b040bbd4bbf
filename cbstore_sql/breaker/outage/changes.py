"""The changes of this process's breakers during an outage that the shared store must learn of."""

from __future__ import annotations

from typing import NamedTuple


class LocalChanges(NamedTuple):
    """A record of the changes of one breaker that this process must report to the shared store.

    Attributes:
        name: The breaker's name.
        base: The generation of the breaker in the shared store when the outage began; ``None`` if it is not known. If
            the shared store has a later generation after the outage, the changes are out of date.
        opened: Whether the circuit opened in this process.
        open_for: Seconds for which the circuit stays open; ``None`` if the circuit is closed. If ``opened`` is false,
            the circuit was open in the shared store before the outage. Such a record matters only if the shared store
            has lost the open circuit since.
        opened_ago: Seconds since the circuit opened in this process.
        successes: The number of calls that succeeded before the failures.
        failures: The number of failures since the last success that the shared store has certainly not counted.
    """

    name: str
    base: int | None = None
    opened: bool = False
    open_for: float | None = None
    opened_ago: float = 0.0
    successes: int = 0
    failures: int = 0

    def parts(self) -> list[LocalChanges]:
        """Return the parts to report in order: the first failure with the successes, then the other failures.

        A failure that may have been counted is never reported again. Some stores can be read but refuse writes (a
        locked row, a commit that hangs). With such a store, each attempt loses one failure, not all of them.
        """
        if self.failures <= 1:
            return [self]
        return [self._replace(failures=1), self._replace(successes=0, failures=self.failures - 1)]


class ChangeLog:
    """A record of the changes of one breaker during an outage.

    Attributes:
        opened: Whether the circuit opened in this process.
        opened_at: When the circuit opened, in seconds of a steady clock.
        successes: The number of successes so far, if there were failures to clear.
        failures: The number of failures since the last success that the shared store has certainly not counted.
    """

    __slots__ = ("failures", "opened", "opened_at", "successes")

    def __init__(self) -> None:
        self.opened = False
        self.opened_at = 0.0
        self.successes = 0
        self.failures = 0

    def add_successes(self, successes: int) -> None:
        """Count ``successes`` successes. These successes clear all earlier failures."""
        self.successes += successes
        self.failures = 0

    def restore(self, changes: LocalChanges, now: float, *, may_be_counted: bool) -> None:
        """Add changes that did not reach the store back to this record.

        Args:
            changes: The changes. They happened before everything that the record contains now.
            now: The steady clock, seconds.
            may_be_counted: Whether the store may have counted the failures. If so, they are not added.
        """
        if changes.opened:
            self.opened, self.opened_at = True, now - changes.opened_ago
        if not may_be_counted:
            # If the record contains a success, it came later and has cleared these failures.
            self.failures += changes.failures if self.successes == 0 else 0
            self.successes += changes.successes
