"""Guarded blocks and calls of synchronous callers, from the admission to the report of the outcome."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

from cbstore_sql.breaker.controller import BreakerController
from cbstore_sql.breaker.outcomes import SUCCESS
from cbstore_sql.breaker.reentrancy import RENEWALS_PER_LEASE, ProbeScope, generator_of
from cbstore_sql.core.model import Permit, Verdict
from cbstore_sql.errors import GuardInUseError
from cbstore_sql.runtime.pickling import NotPicklable

log = logging.getLogger("cbstore_sql")

Report = Callable[[Permit, Verdict], None]
Renew = Callable[[Permit], bool]


class GuardedCall:
    """Run an admitted call in a ``with`` block, and report its outcome at the end of the block.

    If the call is the probe, a thread keeps the probe for this caller while the block runs.

    Args:
        permit: The permit of the admitted call.
        controller: The breaker's controller.
        report: A function that receives the permit and the verdict when the call has ended. The function must not
            raise.
        renew: A function that keeps the probe for another lease, and returns whether the probe still belongs to the
            caller.
        block: The frame of the generator that contains the guarded block; ``None`` if the block is not in a generator.

    Attributes:
        permit: The permit of the admitted call.
        verdict: The verdict to report if the block raises nothing; at first success.
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

    def __enter__(self) -> GuardedCall:
        if self.permit.is_probe:
            self._probe = ProbeScope(self.permit, self._block)
            self._renewing = renew_until_done(self._controller, self.permit, self._renew, self._probe)
        self._began = self._controller.notifier.call_began()
        return self

    def progress(self) -> None:
        """Tell the breaker that the call makes progress, so that a probe stays with its caller.

        See `CircuitBreaker.progress`. If the call is not a probe, this does nothing.
        """
        if self._probe is not None:
            self._probe.progressed()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._probe is not None:
            if not self._probe.is_held:
                return  # in a forked child: the parent reports the probe
            self._probe.end()
            self._renewing.set()
        outcome = self.verdict if error is None else self._controller.outcomes.classify_exception(error)
        verdict = self._controller.slow_calls.judge(self.permit, outcome)
        try:
            self._controller.notifier.call_ended(self.permit.name, verdict, self._began)
        finally:
            # The report also runs if a listener ends with the exception of a signal handler.
            if verdict is not SUCCESS or not self._controller.takes_success(self.permit):
                self._report(self.permit, verdict)


class Guard(NotPicklable):
    """A context manager that guards one block of code. `CircuitBreaker.guard` returns it.

    Entering the block admits or rejects it. Leaving the block reports its outcome. The guard can be used again after
    its block has ended.

    Args:
        name: The breaker's name.
        admit: A function that receives the name and returns a permit, or raises if the block is rejected.
        controller: The breaker's controller.
        report: A function that receives the permit and the verdict when the block has ended, and reports the outcome.
            The function must not raise.
        renew: A function that keeps the probe for another lease, and returns whether the probe still belongs to the
            caller.
    """

    def __init__(
        self, name: str, admit: Callable[[str], Permit], controller: BreakerController, report: Report, renew: Renew
    ) -> None:
        self._name = name
        self._admit = admit
        self._parts = controller, report, renew
        self._free = [True]

    def __enter__(self) -> Permit:
        try:
            # `pop` is atomic: if several threads enter the guard at once, only one of them succeeds.
            self._free.pop()
        except IndexError:
            raise in_use(self._name) from None
        try:
            permit = self._admit(self._name)
            block = generator_of(sys._getframe(1)) if permit.is_probe else None
            self._call = GuardedCall(permit, *self._parts, block).__enter__()
        except BaseException:
            self._free.append(True)
            raise
        return permit

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self._call.__exit__(kind, error, tb)
        finally:
            self._free.append(True)


def in_use(name: str) -> GuardInUseError:
    """Make the error for a caller that enters a guard while another block is still inside the guard.

    Args:
        name: The breaker's name, for the message.
    """
    return GuardInUseError(
        f"the guard of {name!r} is in use by another block: write breaker.guard({name!r}) for each block"
    )


def renew_until_done(controller: BreakerController, permit: Permit, renew: Renew, probe: ProbeScope) -> threading.Event:
    """Start a thread that keeps a probe for its caller while the call runs.

    The thread renews the probe's lease several times in each lease. It ends when the returned event is set, when the
    probe belongs to another caller, or when the call shows no progress for `PROBE_CAP` leases. If no thread can start,
    the function logs a warning.

    Args:
        controller: The breaker's controller.
        permit: The permit of the probe.
        renew: A function that keeps the probe for another lease, and returns whether the probe still belongs to the
            caller.
        probe: The object that counts the renewals without a sign of progress.

    Returns:
        The event that the caller must set when the call has ended.
    """
    done = threading.Event()
    period = controller.policy_for(permit.name).probe_lease / RENEWALS_PER_LEASE

    def keep() -> None:
        try:
            while not done.wait(period):
                if not probe.take_renewal():
                    controller.notifier.probe_stalled(permit)
                    return
                if not renew(permit):
                    return
        except Exception as failed:  # noqa: BLE001 - this thread has no caller to raise to
            controller.notifier.log_failed_report(failed)

    try:
        threading.Thread(target=keep, name="cbstore-lease", daemon=True).start()
    except RuntimeError as error:  # no thread can start; the call is made nevertheless
        log.warning("the lease of a probe is not renewed: no thread can start (%s)", type(error).__name__)
    return done
