"""What happened to the breakers of this process during an outage and is news to the shared store."""

from __future__ import annotations

from typing import NamedTuple


class LocalChanges(NamedTuple):
    """What the shared store has to hear about one breaker.

    Attributes:
        name: The breaker's name.
        base: The generation that the breaker had in the shared store when the outage began; ``None``: not known. If the
            store has a later one by now, other processes have moved on and the changes are out of date.
        opened: Whether the circuit opened in this process.
        open_for: Seconds for which the circuit is still open; ``None`` if it is closed. Where it did not open in this
            process, the shared store had it open before the outage and must have lost it since.
        opened_ago: Seconds since it opened here.
        successes: How many calls succeeded before the failures.
        failures: Failures since the last success that the store certainly has not counted.
    """

    name: str
    base: int | None = None
    opened: bool = False
    open_for: float | None = None
    opened_ago: float = 0.0
    successes: int = 0
    failures: int = 0

    def parts(self) -> list[LocalChanges]:
        """Return what is reported one after the other: the first failure with the successes, then the other failures.

        A failure that may have been counted is never reported again. A store that can be read but refuses writes (a
        locked row, a commit that hangs) thus loses one failure at each attempt, and not all of them.
        """
        if self.failures <= 1:
            return [self]
        return [self._replace(failures=1), self._replace(successes=0, failures=self.failures - 1)]


class ChangeLog:
    """What happened to one breaker.

    Attributes:
        opened: Whether the circuit opened in this process.
        opened_at: When it did, by a steady clock, seconds.
        successes: Successes so far, if there was anything to clear.
        failures: Failures since the last success that the store certainly has not counted.
    """

    __slots__ = ("failures", "opened", "opened_at", "successes")

    def __init__(self) -> None:
        self.opened = False
        self.opened_at = 0.0
        self.successes = 0
        self.failures = 0

    def add_successes(self, successes: int) -> None:
        """Count successes: they clear the failures before them."""
        self.successes += successes
        self.failures = 0

    def restore(self, changes: LocalChanges, now: float, *, may_be_counted: bool) -> None:
        """Take back changes that did not reach the store.

        Args:
            changes: The changes, which came before everything that the log has by now.
            now: The steady clock, seconds.
            may_be_counted: Whether the store may have counted the failures.
        """
        if changes.opened:
            self.opened, self.opened_at = True, now - changes.opened_ago
        if not may_be_counted:
            # A success since then has cleared the failures.
            self.failures += changes.failures if self.successes == 0 else 0
            self.successes += changes.successes
