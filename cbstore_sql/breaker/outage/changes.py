"""The changes of this process's breakers during an outage that the shared store must learn of."""

from __future__ import annotations

from typing import NamedTuple


class LocalChanges(NamedTuple):
    """What happened to one breaker in this process during an outage, and must be reported to the store afterwards.

    Attributes:
        name: The breaker's name.
        base: The breaker's generation in the store when the outage began; ``None`` if it is not known. The generation
            is a number that grows with each state change. If it is higher after the outage, other processes have
            changed the breaker, and this record is out of date.
        opened: Whether the circuit opened in this process.
        open_for: Seconds for which the circuit stays open; ``None`` if the circuit is closed. If ``opened`` is false
            and there is a number here, the circuit was open before the outage. Then the record is needed only if the
            store has lost its data.
        opened_ago: Seconds since the circuit opened in this process.
        successes: The number of calls that succeeded before the failures.
        failures: The number of failures after the last success. Failures that the store may have counted are left out.
    """

    name: str
    base: int | None = None
    opened: bool = False
    open_for: float | None = None
    opened_ago: float = 0.0
    successes: int = 0
    failures: int = 0

    def parts(self) -> list[LocalChanges]:
        """Divide this record into the parts that are reported separately, in order.

        The first part has the successes and one failure. The second part, if there is one, has the other failures. So
        if the store refuses every write but can be read, each attempt to report loses only one failure. The reason is
        that a failure whose report may have had an effect is never reported again.
        """
        if self.failures <= 1:
            return [self]
        return [self._replace(failures=1), self._replace(successes=0, failures=self.failures - 1)]


class ChangeLog:
    """Collect what happens to one breaker in this process during an outage.

    Attributes:
        opened: Whether the circuit opened in this process.
        opened_at: When the circuit opened, in seconds of a clock of which only differences matter.
        successes: The number of successes, from the first one that had failures to clear.
        failures: The number of failures since the last success that the store has certainly not counted.
    """

    __slots__ = ("failures", "opened", "opened_at", "successes")

    def __init__(self) -> None:
        self.opened = False
        self.opened_at = 0.0
        self.successes = 0
        self.failures = 0

    def add_successes(self, successes: int) -> None:
        """Add a number of successes, and set the number of failures to 0, because a success clears earlier failures."""
        self.successes += successes
        self.failures = 0

    def restore(self, changes: LocalChanges, now: float, *, may_be_counted: bool) -> None:
        """Put changes back into this record after their report to the store has failed.

        Args:
            changes: The changes. They happened before everything that the record contains now.
            now: The present time, in seconds of the same clock as ``opened_at``.
            may_be_counted: Whether the store may have counted the failures in spite of the error. If so, they are not
                added, so that they never count twice.
        """
        if changes.opened:
            self.opened, self.opened_at = True, now - changes.opened_ago
        if not may_be_counted:
            # If the record contains a success, it came later and has cleared these failures.
            self.failures += changes.failures if self.successes == 0 else 0
            self.successes += changes.successes
