"""The asynchronous twin of ``guard.py``: from an admission to the report of its outcome."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING

from cbstore_sql.background import in_background
from cbstore_sql.gate import RENEWALS_PER_LEASE
from cbstore_sql.model import Permit, Verdict
from cbstore_sql.probing import Probe

if TYPE_CHECKING:
    from cbstore_sql.async_breaker import AsyncCircuitBreaker


class AsyncSettling:
    """From an admission to the report of its outcome; see `Settling`."""

    def __init__(self, breaker: AsyncCircuitBreaker, permit: Permit) -> None:
        self._breaker = breaker
        self.permit = permit
        self.verdict = Verdict.SUCCESS

    async def __aenter__(self) -> AsyncSettling:
        self._probe = self._keeper = None
        if self.permit.is_probe:
            self._probe = Probe(self._breaker.gate, self.permit.name)
            self._keeper = in_background(keep_lease(self._breaker, self.permit))
        self._began = self._breaker.gate.began()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._probe is not None and self._keeper is not None:
            self._probe.ended()
            self._keeper.cancel()
        gate = self._breaker.gate
        verdict = self.verdict if error is None else gate.outcomes.of_exception(error)
        gate.finished(self.permit.name, verdict, self._began)
        await report(self._breaker, self.permit, verdict, error)


async def report(
    breaker: AsyncCircuitBreaker, permit: Permit, verdict: Verdict, error: BaseException | None = None
) -> None:
    """Settle a call that has its outcome; nothing is raised, since no report may replace that."""
    if breaker.gate.settled_at_once(permit, verdict):
        return
    if isinstance(error, GeneratorExit):
        # The coroutine is being closed and cannot await any more; a probe's lease runs out.
        return
    try:
        await breaker.settle(permit, verdict)
    except Exception as failed:  # noqa: BLE001 - whatever a store raises, the call is over
        breaker.gate.report_failed(failed)


class AsyncGuard:
    """One guarded block, made by `AsyncCircuitBreaker.guard`; it can be entered again when it has been left."""

    def __init__(self, breaker: AsyncCircuitBreaker, name: str) -> None:
        self._breaker = breaker
        self._name = name

    async def __aenter__(self) -> Permit:
        self._settling = await AsyncSettling(self._breaker, await self._breaker.admit(self._name)).__aenter__()
        return self._settling.permit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._settling.__aexit__(kind, error, tb)


async def keep_lease(breaker: AsyncCircuitBreaker, permit: Permit) -> None:
    """Renew a probe's lease until cancelled or until it is lost."""
    period = breaker.gate.policy_for(permit.name).probe_lease / RENEWALS_PER_LEASE
    try:
        while True:
            await asyncio.sleep(period)
            if not await breaker.renew(permit):
                return
    except Exception as failed:  # noqa: BLE001 - a task of ours has nobody to raise to
        breaker.gate.report_failed(failed)
