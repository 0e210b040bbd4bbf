"""Reports about probes that the store may not have received. Without them, their circuits would stay blocked."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from cbstore_sql.core.model import LocalPermit, Permit, UnreportedPermit, Verdict
from cbstore_sql.runtime.fork import ForkSafeLock

CLAIM_MAY_LAND_FOR = 60.0
"""Seconds for which a claim without an answer may still reach the store and win: it may be waiting for a row's lock."""


class PendingReport(NamedTuple):
    """One report.

    Attributes:
        permit: The owner's. For a claim that was perhaps not won its generation is not known yet.
        verdict: What to report; ``None`` for a claim that no caller uses: the probe is released.
        until: The moment after which a claim that was not found is given up, by the outbox's clock.
    """

    permit: Permit
    verdict: Verdict | None
    until: float = 0.0


class Outbox(ForkSafeLock):
    """The probes that this process claimed or settled without an answer from the store.

    All of it can be reported twice: a claim is known by its token, and a verdict counts only while its permit is valid.
    A forked process starts with an empty outbox, since its parent reports everything.

    Args:
        clock: Returns seconds of a steady clock.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._have_lock()

    def _renew_lock(self) -> None:
        super()._renew_lock()
        self._reports: list[PendingReport] = []
        self._later: list[PendingReport] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to report, now or later."""
        return not (self._reports or self._later)

    def claimed(self, name: str, token: str) -> None:
        """Add a claim that no caller uses, although it may be won."""
        self.put(PendingReport(Permit(name, 0, token), None, self._clock() + CLAIM_MAY_LAND_FOR))

    def settled(self, permit: Permit, verdict: Verdict) -> None:
        """Add the verdict of a probe that the store may not have received."""
        if permit.is_probe and not isinstance(permit, (LocalPermit, UnreportedPermit)):
            self.put(PendingReport(permit, verdict))

    def put(self, report: PendingReport) -> None:
        """Add a report."""
        with self._lock:
            self._reports.append(report)

    def put_for_later(self, report: PendingReport) -> None:
        """Add a claim that the store does not know yet: look again in the next round, unless its time is over."""
        if self._clock() < report.until:
            with self._lock:
                self._later.append(report)

    def begin_round(self) -> None:
        """Make what was put for later available to `next`."""
        with self._lock:
            self._reports, self._later = self._reports + self._later, []

    def next(self) -> PendingReport | None:
        """Remove and return one report, or ``None`` if the outbox is empty."""
        with self._lock:
            return self._reports.pop() if self._reports else None
