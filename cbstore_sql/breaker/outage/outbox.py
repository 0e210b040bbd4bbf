"""What a store that did not answer has still to hear of this process's probes, which would block their circuits."""

from __future__ import annotations

from typing import NamedTuple

from cbstore_sql.core.model import Permit, Verdict
from cbstore_sql.runtime.fork import ForkSafeLock


class PendingReport(NamedTuple):
    """One probe.

    Attributes:
        permit: The owner's; of a claim that may not have been won it has no generation yet.
        verdict: What is to be reported; ``None`` for a claim that nobody goes on with.
    """

    permit: Permit
    verdict: Verdict | None


class Outbox(ForkSafeLock):
    """The probes that this process claimed or settled without hearing whether it succeeded.

    All of it is safe to say twice: a claim is known by its token, and a verdict counts only while its permit holds.
    """

    def __init__(self) -> None:
        self._have_lock()
        self._debts: list[PendingReport] = []

    def claimed(self, name: str, token: str) -> None:
        """Remember a claim that nobody goes on with, although it may have been won."""
        self.put(PendingReport(Permit(name, 0, token), None))

    def settled(self, permit: Permit, verdict: Verdict) -> None:
        """Remember the verdict of a probe that may not have been heard."""
        if type(permit) is Permit and permit.is_probe:
            self.put(PendingReport(permit, verdict))

    def put(self, debt: PendingReport) -> None:
        """Remember what is owed."""
        with self._lock:
            self._debts.append(debt)

    def next(self) -> PendingReport | None:
        """Take one, or ``None``: nothing is owed."""
        with self._lock:
            return self._debts.pop() if self._debts else None
