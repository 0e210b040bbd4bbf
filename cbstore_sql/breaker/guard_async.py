"""From an admission to the report of its outcome, for callers in an event loop; see ``guard.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType

from cbstore_sql.breaker.controller import BreakerController
from cbstore_sql.breaker.guard import RENEWALS_PER_LEASE
from cbstore_sql.breaker.outcomes import SUCCESS
from cbstore_sql.breaker.reentrancy import ProbeScope
from cbstore_sql.core.model import Permit, Verdict
from cbstore_sql.runtime.pickling import NotPicklable
from cbstore_sql.runtime.tasks import in_background

Report = Callable[[Permit, Verdict, BaseException | None], Awaitable[None]]
Renew = Callable[[Permit], Awaitable[bool]]


class AsyncGuardedCall:
    """An admitted call; see `GuardedCall`. ``report`` also receives what the call raised."""

    def __init__(self, permit: Permit, controller: BreakerController, report: Report, renew: Renew) -> None:
        self._controller = controller
        self._report = report
        self._renew = renew
        self.permit = permit
        self.verdict = SUCCESS

    async def __aenter__(self) -> AsyncGuardedCall:
        self._probe = self._renewing = None
        if self.permit.is_probe:
            self._probe = ProbeScope(self._controller, self.permit.name)
            self._renewing = in_background(renew_until_done(self._controller, self.permit, self._renew))
        self._began = self._controller.notifier.call_began()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._probe is not None and self._renewing is not None:
            self._probe.ended()
            self._renewing.cancel()
        verdict = self.verdict if error is None else self._controller.outcomes.classify_exception(error)
        try:
            self._controller.notifier.call_ended(self.permit.name, verdict, self._began)
        finally:
            # Also if a signal handler's exception ends a listener.
            if verdict is not SUCCESS or not self._controller.is_clean(self.permit):
                await self._report(self.permit, verdict, error)


class AsyncGuard(NotPicklable):
    """One guarded block, made by `AsyncCircuitBreaker.guard`. It can be entered again after it was left.

    The arguments are those of `Guard`.
    """

    def __init__(
        self,
        name: str,
        admit: Callable[[str], Awaitable[Permit]],
        controller: BreakerController,
        report: Report,
        renew: Renew,
    ) -> None:
        self._name = name
        self._admit = admit
        self._parts = controller, report, renew

    async def __aenter__(self) -> Permit:
        permit = await self._admit(self._name)
        self._call = await AsyncGuardedCall(permit, *self._parts).__aenter__()
        return permit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._call.__aexit__(kind, error, tb)


async def renew_until_done(controller: BreakerController, permit: Permit, renew: Renew) -> None:
    """Renew a probe's lease until cancelled or until the lease is lost."""
    period = controller.policy_for(permit.name).probe_lease / RENEWALS_PER_LEASE
    try:
        while True:
            await asyncio.sleep(period)
            if not await renew(permit):
                return
    except Exception as failed:  # noqa: BLE001 - this task has no caller to raise to
        controller.log_failed_report(failed)
