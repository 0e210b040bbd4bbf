"""From an admission to the report of its outcome, for synchronous callers."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Protocol

from cbstore_sql.breaker.controller import RENEWALS_PER_LEASE, BreakerController
from cbstore_sql.breaker.reentrancy import ProbeScope
from cbstore_sql.core.model import Permit, Verdict


class Admitting(Protocol):
    """What a guard needs of a breaker."""

    controller: BreakerController

    def admit(self, name: str) -> Permit:
        """Admit a call."""

    def settle(self, permit: Permit, verdict: Verdict) -> None:
        """Report the outcome of a call."""

    def renew(self, permit: Permit) -> bool:
        """Extend the lease of a probe; return whether it is still the caller's."""


class GuardedCall:
    """From an admission to the report of its outcome; keeps a probe's lease in between.

    Args:
        breaker: What admitted the call.
        permit: What it gave.

    Attributes:
        permit: As given.
        verdict: What to report of a call that raises nothing.
    """

    def __init__(self, breaker: Admitting, permit: Permit) -> None:
        self._breaker = breaker
        self.permit = permit
        self.verdict = Verdict.SUCCESS

    def __enter__(self) -> GuardedCall:
        self._probe = self._keeper = None
        if self.permit.is_probe:
            self._probe = ProbeScope(self._breaker.controller, self.permit.name)
            self._keeper = renew_until_done(self._breaker, self.permit)
        self._began = self._breaker.controller.began()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._probe is not None and self._keeper is not None:
            self._probe.ended()
            self._keeper.set()
        controller = self._breaker.controller
        verdict = self.verdict if error is None else controller.outcomes.classify_exception(error)
        controller.finished(self.permit.name, verdict, self._began)
        report(self._breaker, self.permit, verdict)


def report(breaker: Admitting, permit: Permit, verdict: Verdict) -> None:
    """Settle a call that has its outcome; nothing is raised, since no report may replace that."""
    try:
        if not breaker.controller.settle_without_io(permit, verdict):
            breaker.settle(permit, verdict)
    except Exception as failed:  # noqa: BLE001 - whatever a store raises, the call is over
        breaker.controller.report_failed(failed)


class Guard:
    """One guarded block, made by `CircuitBreaker.guard`; it can be entered again when it has been left."""

    def __init__(self, breaker: Admitting, name: str) -> None:
        self._breaker = breaker
        self._name = name

    def __enter__(self) -> Permit:
        self._settling = GuardedCall(self._breaker, self._breaker.admit(self._name)).__enter__()
        return self._settling.permit

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._settling.__exit__(kind, error, tb)


def renew_until_done(breaker: Admitting, permit: Permit) -> threading.Event:
    """Renew a probe's lease in a thread of its own until the returned event is set or the lease is lost."""
    done = threading.Event()
    period = breaker.controller.policy_for(permit.name).probe_lease / RENEWALS_PER_LEASE

    def keep() -> None:
        try:
            while not done.wait(period) and breaker.renew(permit):
                pass
        except Exception as failed:  # noqa: BLE001 - a thread of ours has nobody to raise to
            breaker.controller.report_failed(failed)

    threading.Thread(target=keep, name="cbstore-lease", daemon=True).start()
    return done
