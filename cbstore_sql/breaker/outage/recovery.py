"""The end of an outage: ask the store again, report what happened meanwhile, and use the store again."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from cbstore_sql.breaker.flow import StoreCalls, nothing
from cbstore_sql.breaker.outage.detector import OutageDetector
from cbstore_sql.breaker.outage.local import LocalBreakers
from cbstore_sql.breaker.outage.outbox import Outbox
from cbstore_sql.breaker.outage.resync import Resync
from cbstore_sql.errors import StoreError
from cbstore_sql.runtime.backoff import ExponentialBackoff
from cbstore_sql.stores.base import NOBODYS_PROBE
from cbstore_sql.stores.call import StoreCall

HAND_OVER_TIMEOUT = 5.0
"""Seconds for each store call of a hand-over. No guarded call waits for one."""

TRIAL_SECONDS = 60.0
"""A store that was used without an error for this long has recovered, even if nothing was written meanwhile."""

WRITING_TRIAL_SECONDS = 5.0
"""The same where it took a real write of another breaker meanwhile."""


def recovery_backoff() -> ExponentialBackoff:
    """Return the pauses between two attempts to end an outage.

    An outage soon after another one goes on with longer pauses. The longest pause leaves two of five seconds for the
    hand-over.
    """
    return ExponentialBackoff(0.1, 3.0, quiet=10.0)


class Recovery:
    """Ends an outage of the store.

    A store that can be read, and that accepts a write that changes nothing, is used again. It may still refuse real
    writes: its disk is full, a row is locked, a standby is missing. Where this process counted a failure that the
    store may or may not have counted, its own count is kept until the store has taken a real write of that breaker.
    Until then the store is on trial: if it fails, the outage goes on where it was, and the log and the listeners hear
    nothing of the attempt.

    Args:
        local: The breakers of this process, which the outage used.
        outage: Tells whether the store is out.
        outbox: Reports about probes that the store may not have received.
        resync: Reports to the store what happened without it.
        begin_outage: Called with a breaker's name and the error when the store fails.
        clock: Returns seconds of a steady clock.
    """

    def __init__(
        self,
        local: LocalBreakers,
        outage: OutageDetector,
        outbox: Outbox,
        resync: Resync,
        *,
        begin_outage: Callable[[str, StoreError], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._local = local
        self._outage = outage
        self._outbox = outbox
        self._resync = resync
        self._begin_outage = begin_outage
        self._clock = clock
        self._trial_began = 0.0
        self._took_a_write = False

    @property
    def has_work(self) -> bool:
        """Whether the store should be asked again soon: it is out or on trial, or something is left to report."""
        return self._outage.is_degraded or not self._outbox.is_empty or bool(self._local.pending())

    def answers(self) -> StoreCalls[bool]:
        """Ask the store now: read one breaker, and have a write accepted that changes nothing.

        Returns:
            Whether it did both. ``False`` begins an outage.
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
        """Report what happened during the outage and use the store again.

        Returns:
            Whether the store took everything. ``False``: the outage goes on, and what is left is kept.
        """
        try:
            yield from self._resync.probes()
            if self._outage.is_out:
                yield from self._resync.lost_circuits()
                # As soon as one write was taken, only circuits that opened here are decided here: the others need not
                # wait until everything is reported.
                yield from self._resync.changes(self._try_again)
                self._try_again()
                self._local.clear()
            # A call that was decided without the store may have ended meanwhile.
            yield from self._resync.changes(nothing)
        except StoreError as error:
            self._begin_outage(self._outage.name, error)
            return False
        self._end_trial()
        return True

    def accepted(self, name: str) -> None:
        """Note that the store took a write of a breaker."""
        if self._outage.is_degraded or self._local.is_in_doubt:
            self._local.forget(name)
            self._took_a_write = True
            self._end_trial()

    def _try_again(self) -> None:
        if self._outage.is_out:
            self._trial_began = self._clock()
            self._took_a_write = False
            self._outage.try_again()

    def _end_trial(self) -> None:
        if self._outage.is_degraded and not self._outage.is_out:
            needed = WRITING_TRIAL_SECONDS if self._took_a_write else TRIAL_SECONDS
            if not self._local.is_in_doubt or self._clock() - self._trial_began >= needed:
                self._outage.mark_up()
