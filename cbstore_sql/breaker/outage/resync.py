"""The reports to a store that answers again: what this process did during the outage."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from cbstore_sql.breaker.flow import CallFlow
from cbstore_sql.breaker.outage.changes import LocalChanges
from cbstore_sql.breaker.outage.failures import was_not_applied
from cbstore_sql.breaker.outage.local import LocalBreakers
from cbstore_sql.breaker.outage.outbox import Outbox, PendingReport
from cbstore_sql.core.model import Permit, Snapshot, State, Transition, Verdict
from cbstore_sql.errors import BreakerNotStoredError, StoreError
from cbstore_sql.stores.call import StoreCall, StoreCalls

log = logging.getLogger("cbstore_sql")

_AT_ONCE = 100
"""The largest number of breakers that one store call reads."""


class Resync:
    """Send to the store what this process recorded while the store was unavailable.

    Args:
        shared: The object that makes the requests to the store for a guarded call.
        local: The breakers that this process used in the meantime.
        outbox: The reports about probes that the store may not have received.
    """

    def __init__(self, shared: CallFlow, local: LocalBreakers, outbox: Outbox) -> None:
        self._shared = shared
        self._local = local
        self._outbox = outbox

    def probes(self) -> StoreCalls[None]:
        """Send all reports about probes that the store may not have received.

        Raises:
            StoreError: The store failed again. The reports that were not sent are kept for the next attempt.
        """
        self._outbox.begin_round()
        while (report := self._outbox.next()) is not None:
            try:
                yield from self._report_probe(report)
            except BaseException:
                self._outbox.put(report)
                raise

    def changes(self, accepted: Callable[[], object]) -> StoreCalls[None]:
        """Report what happened to every breaker while the store was unavailable, open circuits first.

        Args:
            accepted: A function that is called after each breaker for which the store has accepted a write.

        Raises:
            StoreError: The store failed again. The changes that were not reported are kept for the next attempt.
        """
        names = self._local.pending()
        for start in range(0, len(names), _AT_ONCE):
            batch = names[start : start + _AT_ONCE]
            snapshots = yield from self._read_many(batch)
            for name in batch:
                changes = self._local.take(name)
                if changes is not None and (yield from self._report(changes, snapshots[name])):
                    accepted()

    def lost_circuits(self) -> StoreCalls[None]:
        """Open again the circuits that were open before the store failed, and that it has lost since.

        This happens if the store was emptied, or if an older copy of its data was restored.

        Raises:
            StoreError: The store failed again.
        """
        known = {changes.name: changes for changes in self._local.known_open()}
        names = list(known)
        for start in range(0, len(names), _AT_ONCE):
            snapshots = yield from self._read_many(names[start : start + _AT_ONCE])
            for name, snapshot in snapshots.items():
                base, left = known[name].base or 0, known[name].open_for or 0.0
                if snapshot.state is State.CLOSED and snapshot.generation < base:
                    yield from self._shared.changes.force_open(name, left)

    def late(self, permit: Permit, verdict: Verdict) -> StoreCalls[None]:
        """Report the outcome of a call that was admitted during an outage of the store and ended after the outage.

        Only a failure is reported, and only if the circuit is closed and has not changed since the outage.

        Args:
            permit: The permit with which the call was admitted.
            verdict: What the outcome says about the dependency: success, failure, or none (the call does not count).
        """
        if verdict is Verdict.FAILURE:
            snapshot = yield from self._shared.read(permit.name)
            # If a later generation has begun since the call was admitted, the failure is out of date.
            if snapshot.state is State.CLOSED and snapshot.generation <= permit.generation:
                yield from self._shared.record_failure(snapshot.permit)

    def _report_probe(self, report: PendingReport) -> StoreCalls[None]:
        """Send one report about a probe. A report that the store has already received has no effect."""
        name, _, token = report.permit
        if report.verdict is not None:
            yield from self._shared.settle(report.permit, report.verdict)
        elif not (yield from self._shared.release_claim(name, token)):
            self._outbox.put_for_later(report)

    def _read_many(self, names: list[str]) -> StoreCalls[Mapping[str, Snapshot]]:
        snapshots: Mapping[str, Snapshot] = yield StoreCall("read_many", (names,))
        return snapshots

    def _report(self, changes: LocalChanges, snapshot: Snapshot) -> StoreCalls[bool]:
        """Report the changes of one breaker.

        Args:
            changes: The changes of the breaker.
            snapshot: The breaker in the shared store.

        Returns:
            Whether the store has accepted a write.
        """
        parts, accepted = changes.parts(), False
        while parts:
            part = parts.pop(0)
            try:
                transition = yield from self._report_part(part, snapshot)
            except BreakerNotStoredError as error:
                log.error("a breaker's changes during the outage are lost: %s", error)
                break
            except BaseException as error:
                # This includes the end of the event loop in the middle of a report.
                surely_not = isinstance(error, StoreError) and was_not_applied(error)
                self._local.put_back(part, may_be_counted=not surely_not)
                for other in parts:
                    self._local.put_back(other, may_be_counted=False)
                raise
            if transition is None:
                break
            snapshot, accepted = transition.snapshot, True
        self._local.delivered(changes)
        return accepted

    def _report_part(self, changes: LocalChanges, snapshot: Snapshot) -> StoreCalls[Transition | None]:
        """Report one part of a breaker's changes.

        Args:
            changes: The part; see `LocalChanges.parts`.
            snapshot: The breaker in the shared store.

        Returns:
            The transition, or ``None`` if the report was unnecessary or had no effect.
        """
        if changes.opened:
            # The circuit may have changed while other breakers were reported, and `force_open` checks no generation.
            snapshot = yield from self._shared.read(changes.name)
        # Other processes have opened the circuit, and may have closed it since. Their information is newer.
        if snapshot.state is not State.CLOSED or _has_moved_on(snapshot, changes):
            return None
        if changes.opened and changes.open_for is not None:
            return (yield from self._shared.changes.force_open(changes.name, changes.open_for))
        if changes.failures:
            return (yield from self._shared.record_failure(snapshot.permit, changes.failures, changes.successes))
        if changes.successes and (snapshot.failure_count or snapshot.score):
            return (yield from self._shared.record_success(snapshot.permit, changes.successes))
        return None


def _has_moved_on(snapshot: Snapshot, changes: LocalChanges) -> bool:
    """Return whether the shared store has a later state of a closed circuit than the changes.

    Args:
        snapshot: The breaker in the shared store; its circuit is closed.
        changes: The changes of the breaker.
    """
    if changes.base is not None:
        return snapshot.generation > changes.base
    return changes.opened and snapshot.closed_at > 0.0 and snapshot.as_of - snapshot.closed_at < changes.opened_ago
