"""From an admission to the report of its outcome, for synchronous callers."""

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
    """An admitted call: renews a probe's lease while the call runs, and reports its outcome at the end.

    Args:
        permit: The admission.
        controller: The breaker's controller.
        report: Called with the permit and the verdict at the end; must not raise.
        renew: Extends the lease of a probe; returns whether the caller still owns it.
        block: See `ProbeScope`.

    Attributes:
        permit: As given.
        verdict: What to report if the call raises nothing.
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
        """Note a sign of progress; see `CircuitBreaker.progress`."""
        if self._probe is not None:
            self._probe.progressed()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._probe is not None:
            if not self._probe.is_held:
                return  # in a forked child: the probe is the parent's to report
            self._probe.end()
            self._renewing.set()
        outcome = self.verdict if error is None else self._controller.outcomes.classify_exception(error)
        verdict = self._controller.slow_calls.judge(self.permit, outcome)
        try:
            self._controller.notifier.call_ended(self.permit.name, verdict, self._began)
        finally:
            # Also if a signal handler's exception ends a listener.
            if verdict is not SUCCESS or not self._controller.takes_success(self.permit):
                self._report(self.permit, verdict)


class Guard(NotPicklable):
    """One guarded block, made by `CircuitBreaker.guard`. It can be entered again after it was left, not before.

    Args:
        name: The breaker's name.
        admit: Admits a call by this name; raises if it is refused.
        controller: See `GuardedCall`, like the rest.
        report: Reports the outcome.
        renew: Extends the lease of a probe.
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
            # Atomic, so of racing threads one gets the guard's only place.
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
    """Return the error for a guard that is entered twice."""
    return GuardInUseError(
        f"the guard of {name!r} is in use by another block: write breaker.guard({name!r}) for each block"
    )


def renew_until_done(controller: BreakerController, permit: Permit, renew: Renew, probe: ProbeScope) -> threading.Event:
    """Renew a probe's lease in a thread until the returned event is set, the lease is lost or the call stalls."""
    done = threading.Event()
    period = controller.policy_for(permit.name).probe_lease / RENEWALS_PER_LEASE

    def keep() -> None:
        try:
            while not done.wait(period):
                if not probe.take_renewal():
                    controller.probe_stalled(permit)
                    return
                if not renew(permit):
                    return
        except Exception as failed:  # noqa: BLE001 - this thread has no caller to raise to
            controller.log_failed_report(failed)

    try:
        threading.Thread(target=keep, name="cbstore-lease", daemon=True).start()
    except RuntimeError as error:  # no thread can start; the call must be made all the same
        log.warning("the lease of a probe is not renewed: no thread can start (%s)", type(error).__name__)
    return done
