"""Guarded blocks and calls of callers in an event loop, from the admission to the report; see ``guard.py``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from types import FrameType, TracebackType

from cbstore_sql.breaker.controller import BreakerController
from cbstore_sql.breaker.guard import in_use
from cbstore_sql.breaker.outcomes import SUCCESS
from cbstore_sql.breaker.reentrancy import RENEWALS_PER_LEASE, ProbeScope, generator_of
from cbstore_sql.core.model import Permit, Verdict
from cbstore_sql.runtime.pickling import NotPicklable
from cbstore_sql.runtime.tasks import in_background

Report = Callable[[Permit, Verdict, bool], Awaitable[None]]
Renew = Callable[[Permit], Awaitable[bool]]


class AsyncGuardedCall:
    """Run an admitted call in an ``async with`` block, and report its outcome at the end of the block.

    If the call is the probe, a task keeps the probe for this caller while the block runs.

    Args:
        permit: The permit of the admitted call.
        controller: The breaker's controller.
        report: A coroutine function that receives the permit, the verdict, and whether the function must not await. The
            function must not raise.
        renew: A coroutine function that keeps the probe for another lease, and returns whether the probe still belongs
            to the caller.
        block: The frame of the generator that contains the guarded block; ``None`` if the block is not in a generator.
    """

    def __init__(
        self,
        permit: Permit,
        controller: BreakerController,
        report: Report,
        renew: Renew,
        block: FrameType | None = None,
    ) -> None:
        self._controller = controller
        self._report = report
        self._renew = renew
        self._block = block
        self._probe: ProbeScope | None = None
        self.permit = permit
        self.verdict = SUCCESS

    async def __aenter__(self) -> AsyncGuardedCall:
        if self.permit.is_probe:
            self._probe = ProbeScope(self.permit, self._block)
            renewing = renew_until_done(self._controller, self.permit, self._renew, self._probe)
            self._renewing = in_background(renewing)
        self._began = self._controller.notifier.call_began()
        return self

    def progress(self) -> None:
        """Tell the breaker that the call makes progress, so that a probe stays with its caller.

        See `CircuitBreaker.progress`. If the call is not a probe, this does nothing.
        """
        if self._probe is not None:
            self._probe.progressed()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._probe is not None:
            if not self._probe.is_held:
                return  # in a forked child: the parent reports the probe
            self._probe.end()
            self._renewing.cancel()
        outcome = self.verdict if error is None else self._controller.outcomes.classify_exception(error)
        verdict = self._controller.slow_calls.judge(self.permit, outcome)
        try:
            self._controller.notifier.call_ended(self.permit.name, verdict, self._began)
        finally:
            # The report also runs if a listener ends with the exception of a signal handler.
            if verdict is not SUCCESS or not self._controller.takes_success(self.permit):
                # A coroutine that is being closed must not await. An asynchronous generator may.
                await self._report(self.permit, verdict, isinstance(error, GeneratorExit) and self._block is None)


class AsyncGuard(NotPicklable):
    """A context manager that guards one block of asynchronous code. `AsyncCircuitBreaker.guard` returns it.

    Entering the block admits or rejects it. Leaving the block reports its outcome. The guard can be used again after
    its block has ended.

    See `Guard` for the arguments; ``admit``, ``report`` and ``renew`` are coroutine functions.
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
        self._free = [True]

    async def __aenter__(self) -> Permit:
        try:
            self._free.pop()
        except IndexError:
            raise in_use(self._name) from None
        try:
            # Before the first await the caller's frame is the one that entered.
            block = generator_of(sys._getframe(1))
            permit = await self._admit(self._name)
            self._call = await AsyncGuardedCall(permit, *self._parts, block).__aenter__()
        except BaseException:
            self._free.append(True)
            raise
        return permit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            await self._call.__aexit__(kind, error, tb)
        finally:
            self._free.append(True)


async def renew_until_done(controller: BreakerController, permit: Permit, renew: Renew, probe: ProbeScope) -> None:
    """Keep a probe for its caller until this coroutine is cancelled.

    The coroutine renews the probe's lease several times in each lease. It also ends when the probe belongs to another
    caller, or when the call shows no progress for `PROBE_CAP` leases.

    Args:
        controller: The breaker's controller.
        permit: The permit of the probe.
        renew: A coroutine function that keeps the probe for another lease, and returns whether the probe still belongs
            to the caller.
        probe: The object that counts the renewals without a sign of progress.
    """
    period = controller.policy_for(permit.name).probe_lease / RENEWALS_PER_LEASE
    try:
        while True:
            await asyncio.sleep(period)
            if not probe.take_renewal():
                controller.notifier.probe_stalled(permit)
                return
            if not await renew(permit):
                return
    except Exception as failed:  # noqa: BLE001 - this task has no caller to raise to
        controller.notifier.log_failed_report(failed)
