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
    """A report about a probe that the store may not have received, so that it must be sent again.

    Attributes:
        permit: The permit of the probe. If this process asked for the probe and got no answer, the generation is not
            known and is 0.
        verdict: The verdict to report: success, failure, or none. ``None`` in place of a verdict means that the probe
            must be released, because no caller uses it.
        until: When to stop looking for a probe that this process asked for, in seconds of the outbox's clock.
    """

    permit: Permit
    verdict: Verdict | None
    until: float = 0.0


class Outbox(ForkSafeLock):
    """Keep the reports about probes that the store may not have received, until they are sent again.

    Without such a report, the circuit would reject calls until the probe's lease ends. A round is one attempt to send
    all reports. It does no harm to send a report twice. A forked process starts with an empty outbox, because the
    parent sends the reports.

    Args:
        clock: A function that returns seconds. Only differences between them matter.
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
        """Whether there is no report to send, now or later."""
        return not (self._reports or self._later)

    def claimed(self, name: str, token: str) -> None:
        """Keep a report that a probe must be released, because this process asked for it and got no answer.

        The store may have made this process the owner of the probe, but no caller uses it.

        Args:
            name: The breaker's name.
            token: The token with which this process asked for the probe.
        """
        self.put(PendingReport(Permit(name, 0, token), None, self._clock() + CLAIM_MAY_LAND_FOR))

    def settled(self, permit: Permit, verdict: Verdict) -> None:
        """Keep the outcome of a probe whose report failed. For a permit that is not of a probe, do nothing.

        Args:
            permit: The permit of the call.
            verdict: What the outcome says about the dependency: success, failure, or none (the call does not count).
        """
        if permit.is_probe and not isinstance(permit, (LocalPermit, UnreportedPermit)):
            self.put(PendingReport(permit, verdict))

    def put(self, report: PendingReport) -> None:
        """Add a report to those that `next` returns."""
        with self._lock:
            self._reports.append(report)

    def put_for_later(self, report: PendingReport) -> None:
        """Keep the report about a probe that this process asked for, until the next round.

        Call this method if the store does not show this process as the owner: the request may still be on its way. When
        the moment ``report.until`` has passed, the report is dropped.

        Args:
            report: The report.
        """
        if self._clock() < report.until:
            with self._lock:
                self._later.append(report)

    def begin_round(self) -> None:
        """Begin an attempt to send all reports: `next` now also returns the reports that were kept for later."""
        with self._lock:
            self._reports, self._later = self._reports + self._later, []

    def next(self) -> PendingReport | None:
        """Remove and return one report; ``None`` if all reports of this round have been returned."""
        with self._lock:
            return self._reports.pop() if self._reports else None
