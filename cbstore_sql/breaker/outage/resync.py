"""What a store that answers again is told of what happened without it."""

from __future__ import annotations

import logging

from cbstore_sql.breaker.flow import CallFlow, StoreCalls
from cbstore_sql.breaker.outage.local import LocalBreakers, LocalChanges
from cbstore_sql.breaker.outage.outbox import Outbox, PendingReport
from cbstore_sql.core.model import Permit, State, Verdict
from cbstore_sql.errors import StoreError, StoreUnavailableError, TooManyBreakersError

log = logging.getLogger("cbstore_sql")


def was_not_applied(error: StoreError) -> bool:
    """Whether what failed so surely had no effect."""
    return not isinstance(error, StoreUnavailableError) or error.applied is False


class Resync:
    """Brings to the shared store what this process did by itself.

    Args:
        shared: The circuits of the store.
        local: Those of this process.
        owed: What the store may not have heard of this process's probes.
    """

    def __init__(self, shared: CallFlow, local: LocalBreakers, owed: Outbox) -> None:
        self._shared = shared
        self._local = local
        self._owed = owed

    def everything(self) -> StoreCalls[None]:
        """Bring all there is; what cannot be brought is kept for the next time.

        Raises:
            StoreError: The store failed again.
        """
        while (debt := self._owed.next()) is not None:
            try:
                yield from self._pay(debt)
            except StoreError:
                self._owed.put(debt)
                raise
        while (leftover := self._local.next_leftover()) is not None:
            yield from self._bring_in_parts(leftover.parts())

    def late(self, permit: Permit, verdict: Verdict) -> StoreCalls[None]:
        """Report a call that was admitted without the store: only its failure is news."""
        if verdict is Verdict.FAILURE:
            yield from self._bring(LocalChanges(permit.name, None, 1))

    def _pay(self, debt: PendingReport) -> StoreCalls[None]:
        """Say what became of a probe; where that was heard already, it has no effect."""
        name, _, token = debt.permit
        if debt.verdict is None:
            yield from self._shared.release_claim(name, token)
        else:
            yield from self._shared.settle(debt.permit, debt.verdict)

    def _bring_in_parts(self, parts: list[LocalChanges]) -> StoreCalls[None]:
        while parts:
            part = parts.pop(0)
            try:
                yield from self._bring(part)
            except TooManyBreakersError as error:
                log.error("a circuit is not kept open: %s", error)
            except StoreError as error:
                self._local.put_back(part, counted=not was_not_applied(error))
                for other in parts:
                    self._local.put_back(other, counted=False)
                raise

    def _bring(self, leftover: LocalChanges) -> StoreCalls[None]:
        """Bring one breaker; a circuit that is not closed there has been opened by somebody else."""
        name, open_for, failures = leftover
        if open_for is None and failures == 0:
            return
        snapshot = yield from self._shared.read(name)
        if snapshot.state is not State.CLOSED:
            return
        if open_for is None:
            yield from self._shared.record_failure(snapshot.permit, failures)
        else:
            yield from self._shared.force_open(name, open_for)
