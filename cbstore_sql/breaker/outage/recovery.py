"""The end of an outage: ask the store again, report the changes of the outage, and use the store again."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from cbstore_sql.breaker.flow import nothing
from cbstore_sql.breaker.outage.calls import OutageCalls
from cbstore_sql.breaker.outage.resync import Resync
from cbstore_sql.errors import StoreError
from cbstore_sql.runtime.backoff import ExponentialBackoff
from cbstore_sql.stores.backend import NOBODYS_PROBE
from cbstore_sql.stores.call import StoreCall, StoreCalls

HAND_OVER_TIMEOUT = 5.0
"""Seconds within which each store call of a hand-over must end. No guarded call waits for a hand-over."""

TRIAL_SECONDS = 60.0
"""Seconds of use without an error after which a trial ends, even if the store accepted no write in this time."""

WRITING_TRIAL_SECONDS = 5.0
"""Seconds of use without an error after which a trial ends, if the store accepted a real write of another breaker."""


def recovery_backoff() -> ExponentialBackoff:
    """Return the series of pauses between the attempts to use the store again after an outage.

    The pauses grow from 0.1 to at most 3 seconds. So the reports of an outage reach the store within 5 seconds, if they
    take at most 2 seconds. If the next outage begins soon, the pauses do not start again with 0.1 seconds.
    """
    return ExponentialBackoff(0.1, 3.0, quiet=10.0)


class Recovery:
    """End an outage of the store: check it, report what happened in the meantime, and use it again.

    The store must answer a read and accept a write that changes nothing. It may still refuse real writes, because the
    disk is full, a row is locked, or a standby is missing. So if there is a failure that the store may or may not have
    counted, the store is on trial at first: this process also counts the failure itself, until the store has accepted a
    real write of that breaker. If the store fails during the trial, the same outage continues, without a second log
    line or event.

    Args:
        outage: The object that admits and counts calls while the store is unavailable.
        resync: The object that sends the reports to the store.
        begin_outage: A function that receives a breaker's name and the store's error when the store fails.
        clock: A function that returns seconds. Only differences between them matter.
    """

    def __init__(
        self,
        outage: OutageCalls,
        resync: Resync,
        *,
        begin_outage: Callable[[str, StoreError], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._local = outage.local
        self._outage = outage.detector
        self._outbox = outage.outbox
        self._resync = resync
        self._begin_outage = begin_outage
        self._clock = clock
        self._trial_began = 0.0
        self._took_a_write = False

    @property
    def has_work(self) -> bool:
        """Whether the breaker must try again in the background to end the outage or to send reports."""
        return self._outage.is_degraded or not self._outbox.is_empty or bool(self._local.pending())

    def answers(self) -> StoreCalls[bool]:
        """Check whether the store answers a read and accepts a write that changes nothing.

        Returns:
            A generator of store calls. It returns ``False`` if one of the two failed; then an outage begins or
            continues.
        """
        name = self._outage.name or NOBODYS_PROBE.name
        try:
            yield StoreCall("read", (name,))
            yield StoreCall("check_writable", ())
        except StoreError as error:
            self._begin_outage(name, error)
            return False
        return True

    def recover(self) -> StoreCalls[bool]:
        """Report to the store what this process recorded while the store was unavailable, and use the store again.

        Returns:
            A generator of store calls. It returns ``True`` if the store accepted all reports. If it returns ``False``,
            the store failed again, and this process keeps the reports that the store has not accepted.
        """
        try:
            yield from self._resync.probes()
            if self._outage.is_out:
                yield from self._resync.lost_circuits()
                # After the first accepted write, only circuits that opened in this process stay local. The others use
                # the store again and do not wait until all changes are reported.
                yield from self._resync.changes(self._try_again)
                self._try_again()
                self._local.clear()
            # A call that was admitted without the store may have ended since.
            yield from self._resync.changes(nothing)
        except StoreError as error:
            self._begin_outage(self._outage.name, error)
            return False
        self._end_trial()
        return True

    def accepted(self, name: str) -> None:
        """Take note that the store has accepted a write of a breaker, which may end the trial after an outage.

        The failures of this breaker that the store may or may not have counted are forgotten.

        Args:
            name: The breaker's name.
        """
        if self._outage.is_degraded or self._local.is_in_doubt:
            self._local.forget(name)
            self._took_a_write = True
            self._end_trial()

    def _try_again(self) -> None:
        """Begin a trial if the store is unavailable."""
        if self._outage.is_out:
            self._trial_began = self._clock()
            self._took_a_write = False
            self._outage.try_again()

    def _end_trial(self) -> None:
        """End the outage if no failure is in doubt or the trial lasted long enough."""
        if self._outage.is_degraded and not self._outage.is_out:
            needed = WRITING_TRIAL_SECONDS if self._took_a_write else TRIAL_SECONDS
            if not self._local.is_in_doubt or self._clock() - self._trial_began >= needed:
                self._outage.mark_up()
