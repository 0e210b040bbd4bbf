"""Reports about probes that the store may not have received. Without these reports, the circuits would stay blocked."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from cbstore_sql.core.model import LocalPermit, Permit, UnreportedPermit, Verdict
from cbstore_sql.runtime.fork import ForkSafeLock

CLAIM_MAY_LAND_FOR = 60.0
"""Seconds for which a claim without an answer may still win: the claim may be waiting for the lock of a row."""


class PendingReport(NamedTuple):
    """One report that the store may not have received.

    Attributes:
        permit: The owner's permit. For a claim without an answer, the generation is not known yet and is 0.
        verdict: The verdict to report; ``None`` for a claim that no caller uses. Such a probe is released.
        until: The moment at which a claim that the store does not show is dropped, in seconds of the outbox's clock.
    """

    permit: Permit
    verdict: Verdict | None
    until: float = 0.0


class Outbox(ForkSafeLock):
    """A collection of reports about probes that this process claimed or settled without an answer from the store.

    A round is one attempt to send all reports. Every report can be sent twice. A claim is identified by its token, and
    a verdict counts only while its permit is valid. A forked process starts with an empty outbox, because the parent
    sends all reports.

    Args:
        clock: A function that returns seconds of a steady clock.
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
        """Whether there is nothing to report, now or in a later round."""
        return not (self._reports or self._later)

    def claimed(self, name: str, token: str) -> None:
        """Add a claim without an answer. No caller uses the claim, although it may be won.

        Args:
            name: The breaker's name.
            token: The token of the claim.
        """
        self.put(PendingReport(Permit(name, 0, token), None, self._clock() + CLAIM_MAY_LAND_FOR))

    def settled(self, permit: Permit, verdict: Verdict) -> None:
        """Add the verdict of a probe that the store may not have received. Permits of other calls are ignored.

        Args:
            permit: The permit.
            verdict: The verdict on the call: success, failure, or none (the call does not count).
        """
        if permit.is_probe and not isinstance(permit, (LocalPermit, UnreportedPermit)):
            self.put(PendingReport(permit, verdict))

    def put(self, report: PendingReport) -> None:
        """Add a report to the present round."""
        with self._lock:
            self._reports.append(report)

    def put_for_later(self, report: PendingReport) -> None:
        """Add a claim that the store does not show yet to the next round, unless the claim's ``until`` has passed."""
        if self._clock() < report.until:
            with self._lock:
                self._later.append(report)

    def begin_round(self) -> None:
        """Begin a round: from now on, `next` also returns the reports that `put_for_later` kept."""
        with self._lock:
            self._reports, self._later = self._reports + self._later, []

    def next(self) -> PendingReport | None:
        """Remove and return one report, or return ``None`` if the round has no more reports."""
        with self._lock:
            return self._reports.pop() if self._reports else None
