"""The refresh of the view: one statement reads all breakers in use again, for this process or for all of the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cbstore_sql.breaker.notifier import Notifier
from cbstore_sql.breaker.outage.detector import OutageDetector
from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import Snapshot
from cbstore_sql.errors import StoreError
from cbstore_sql.events import ViewRefreshed
from cbstore_sql.stores.call import StoreCall, StoreCalls

if TYPE_CHECKING:
    from cbstore_sql.breaker.host_reads import HostReads, Published

# While another process of the host reads, this process looks for the answer again after this many seconds.
_NEXT_LOOK = 0.005

# The reader of a host reads again when its answer has this part of ``max_staleness`` as its age, or earlier if answers
# take long. It reads earlier than a process that reads for itself, because the other processes need time after it.
_SHARED_PERIOD = 0.6

# The process that read last is due first, so that the same process goes on reading. The other processes look for its
# answer later, after this part of the time from then until the view is too old.
_LATER = 0.25

# When this part of that time is over and there is still no answer, a process reads for itself.
_TOO_LATE = 0.75


class ViewRefresh:
    """Read all breakers that this process uses from the store again, so that its view stays up to date.

    The view is this process's copy of the shared state.

    Args:
        view: The view; ``None`` if every call asks the store. Then there is nothing to read.
        outage: The object that remembers whether the store answers. While the store is unavailable, nothing is read.
        notifier: The listeners, which receive an event with the age of the view after each read.
        record: A function that receives each snapshot and the moment just before the read, in seconds of the view's
            clock.
        refreshed: A function that is called after each complete read.
        begin_outage: A function that receives a breaker's name and the store's error when a read fails.
        host_reads: The object through which the processes of this host share their reads; ``None`` if this process
            reads for itself.
    """

    def __init__(
        self,
        view: View | None,
        outage: OutageDetector,
        notifier: Notifier,
        *,
        record: Callable[[Snapshot, float], None],
        refreshed: Callable[[], object],
        begin_outage: Callable[[str, StoreError], None],
        host_reads: HostReads | None = None,
    ) -> None:
        self._view = view
        self._outage = outage
        self._notifier = notifier
        self._record = record
        self._refreshed = refreshed
        self._begin_outage = begin_outage
        self._host_reads = host_reads
        # When `run` is due; 0.0 means one period after the last call.
        self._next_at = 0.0
        # The breakers in use, while another process reads: `View.in_use` may be called only once for each refresh.
        self._waiting: list[str] = []

    def pause(self) -> float:
        """Return how many seconds to wait before the next call of `run`."""
        view = self._view
        if view is None or self._host_reads is None or not self._next_at:
            return 0.0 if view is None else view.period
        return max(_NEXT_LOOK, self._next_at - view.clock())

    def run(self) -> StoreCalls[bool]:
        """Read all breakers in use, and pass each to ``record``.

        With ``host_reads``, the answer may be one that another process of this host has published. Otherwise, one store
        call reads all breakers.

        Returns:
            A generator of store calls. It returns ``False`` if no breaker is in use, so that the background work can
            end.
        """
        view = self._view
        # Also after an error that is not a StoreError, the next call of `run` is due in one period.
        self._next_at = 0.0
        names = self._waiting or ([] if view is None else view.in_use())
        self._waiting = []
        if view is None or not names or self._outage.is_out:
            return bool(names)
        if self._host_reads is None:
            yield from self._read(view, names, names)
        else:
            yield from self._read_for_host(view, self._host_reads, names)
        return True

    def _read(self, view: View, names: list[str], own: list[str]) -> StoreCalls[tuple[list[Snapshot], float] | None]:
        """Read breakers from the store and record those that this process uses.

        Args:
            view: The view.
            names: The breakers to read.
            own: The breakers that this process uses.

        Returns:
            All breakers, and the moment just before the read; ``None`` if the store did not answer.
        """
        asked_at = view.clock()
        try:
            snapshots: Mapping[str, Snapshot] = yield StoreCall("read_many", (names,))
        except StoreError as error:
            if names != own:
                # Only the names of other processes may be at fault.
                return (yield from self._read(view, own, own))
            self._begin_outage(own[0], error)
            return None
        view.answered(asked_at)
        self._record_all([snapshots[name] for name in own if name in snapshots], asked_at)
        return list(snapshots.values()), asked_at

    def _read_for_host(self, view: View, host: HostReads, names: list[str]) -> StoreCalls[None]:
        """Use the published answer if it is young enough and has all names; otherwise read for all processes."""
        last = host.published(view.clock())
        if last is not None and self._use(view, last, names):
            return
        try:
            is_reader = host.try_acquire()
        except OSError:
            yield from self._read(view, names, names)
            return
        if not is_reader:
            yield from self._wait_or_read(view, names)
            return
        try:
            # Another process may have published an answer between the two steps above.
            last = host.published(view.clock())
            if last is not None and self._use(view, last, names):
                return
            found = yield from self._read(view, host.names_for_all(names, last, view.clock()), names)
            if found is not None:
                host.publish(*found, names, last)
                self._next_at = found[1] + _shared_period(view)
        finally:
            host.release()

    def _use(self, view: View, last: Published, names: list[str]) -> bool:
        """Record a published answer; return ``False`` if it is too old or does not have all names."""
        age = view.clock() - last.asked_at
        if age >= _shared_period(view) or not last.snapshots.keys() >= set(names):
            return False
        self._record_all([last.snapshots[name] for name in names], last.asked_at)
        self._next_at = last.asked_at + _after_period(view, _LATER)
        return True

    def _wait_or_read(self, view: View, names: list[str]) -> StoreCalls[None]:
        """Let another process read, for as long as the view stays young enough; after that, read for this process."""
        oldest = max(view.staleness().values(), default=0.0)
        if oldest < _after_period(view, _TOO_LATE):
            self._waiting = names
            self._next_at = view.clock() + _NEXT_LOOK
            return
        found = yield from self._read(view, names, names)
        if found is not None:
            self._next_at = found[1] + _shared_period(view)

    def _record_all(self, snapshots: list[Snapshot], asked_at: float) -> None:
        """Record the snapshots of one read, and emit the age that the oldest entry of the view had before."""
        view = self._view
        ages = {} if view is None else view.staleness()
        for snapshot in snapshots:
            self._record(snapshot, asked_at)
        self._refreshed()
        if self._notifier.listeners and ages:
            oldest = max(ages, key=ages.__getitem__)
            self._notifier.emit(ViewRefreshed(oldest, ages[oldest]))


def _shared_period(view: View) -> float:
    """Return the age of a published answer, in seconds, at which the reader of the host reads again."""
    return min(view.period, _SHARED_PERIOD * view.max_staleness)


def _after_period(view: View, part: float) -> float:
    """Return an age between `_shared_period` and ``max_staleness``, in seconds.

    Args:
        view: The view.
        part: 0 for `_shared_period`, 1 for ``max_staleness``.
    """
    period = _shared_period(view)
    return period + part * (view.max_staleness - period)
