"""The asynchronous twin of ``guard.py``: from an admission to the report of its outcome."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol

from cbstore_sql.breaker.controller import RENEWALS_PER_LEASE, BreakerController
from cbstore_sql.breaker.reentrancy import ProbeScope
from cbstore_sql.core.model import Permit, Verdict
from cbstore_sql.runtime.tasks import in_background


class AsyncAdmitting(Protocol):
    """What a guard needs of a breaker."""

    controller: BreakerController

    async def admit(self, name: str) -> Permit:
        """Admit a call."""

    async def settle(self, permit: Permit, verdict: Verdict) -> None:
        """Report the outcome of a call."""

    async def renew(self, permit: Permit) -> bool:
        """Extend the lease of a probe; return whether it is still the caller's."""


class AsyncGuardedCall:
    """From an admission to the report of its outcome; see `GuardedCall`."""

    def __init__(self, breaker: AsyncAdmitting, permit: Permit) -> None:
        self._breaker = breaker
        self.permit = permit
        self.verdict = Verdict.SUCCESS

    async def __aenter__(self) -> AsyncGuardedCall:
        self._probe = self._keeper = None
        if self.permit.is_probe:
            self._probe = ProbeScope(self._breaker.controller, self.permit.name)
            self._keeper = in_background(renew_until_done(self._breaker, self.permit))
        self._began = self._breaker.controller.began()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._probe is not None and self._keeper is not None:
            self._probe.ended()
            self._keeper.cancel()
        controller = self._breaker.controller
        verdict = self.verdict if error is None else controller.outcomes.classify_exception(error)
        controller.finished(self.permit.name, verdict, self._began)
        await report(self._breaker, self.permit, verdict, error)


async def report(breaker: AsyncAdmitting, permit: Permit, verdict: Verdict, error: BaseException | None = None) -> None:
    """Settle a call that has its outcome; nothing is raised, since no report may replace that."""
    if breaker.controller.settle_without_io(permit, verdict):
        return
    if isinstance(error, GeneratorExit):
        # The coroutine is being closed and cannot await any more; a probe's lease runs out.
        return
    try:
        await breaker.settle(permit, verdict)
    except Exception as failed:  # noqa: BLE001 - whatever a store raises, the call is over
        breaker.controller.report_failed(failed)


class AsyncGuard:
    """One guarded block, made by `AsyncCircuitBreaker.guard`; it can be entered again when it has been left."""

    def __init__(self, breaker: AsyncAdmitting, name: str) -> None:
        self._breaker = breaker
        self._name = name

    async def __aenter__(self) -> Permit:
        self._settling = await AsyncGuardedCall(self._breaker, await self._breaker.admit(self._name)).__aenter__()
        return self._settling.permit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._settling.__aexit__(kind, error, tb)


async def renew_until_done(breaker: AsyncAdmitting, permit: Permit) -> None:
    """Renew a probe's lease until cancelled or until it is lost."""
    period = breaker.controller.policy_for(permit.name).probe_lease / RENEWALS_PER_LEASE
    try:
        while True:
            await asyncio.sleep(period)
            if not await breaker.renew(permit):
                return
    except Exception as failed:  # noqa: BLE001 - a task of ours has nobody to raise to
        breaker.controller.report_failed(failed)
