"""From an admission to the report of its outcome, for synchronous callers."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING

from cbstore_sql.gate import RENEWALS_PER_LEASE
from cbstore_sql.model import Permit, Verdict
from cbstore_sql.probing import Probe

if TYPE_CHECKING:
    from cbstore_sql.breaker import CircuitBreaker


class Settling:
    """From an admission to the report of its outcome; keeps a probe's lease in between.

    Args:
        breaker: What admitted the call.
        permit: What it gave.

    Attributes:
        permit: As given.
        verdict: What to report of a call that raises nothing.
    """

    def __init__(self, breaker: CircuitBreaker, permit: Permit) -> None:
        self._breaker = breaker
        self.permit = permit
        self.verdict = Verdict.SUCCESS

    def __enter__(self) -> Settling:
        self._probe = self._keeper = None
        if self.permit.is_probe:
            self._probe = Probe(self._breaker.gate, self.permit.name)
            self._keeper = keep_lease(self._breaker, self.permit)
        self._began = self._breaker.gate.began()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._probe is not None and self._keeper is not None:
            self._probe.ended()
            self._keeper.set()
        gate = self._breaker.gate
        verdict = self.verdict if error is None else gate.outcomes.of_exception(error)
        gate.finished(self.permit.name, verdict, self._began)
        report(self._breaker, self.permit, verdict)


def report(breaker: CircuitBreaker, permit: Permit, verdict: Verdict) -> None:
    """Settle a call that has its outcome; nothing is raised, since no report may replace that."""
    try:
        if not breaker.gate.settled_at_once(permit, verdict):
            breaker.settle(permit, verdict)
    except Exception as failed:  # noqa: BLE001 - whatever a store raises, the call is over
        breaker.gate.report_failed(failed)


class Guard:
    """One guarded block, made by `CircuitBreaker.guard`; it can be entered again when it has been left."""

    def __init__(self, breaker: CircuitBreaker, name: str) -> None:
        self._breaker = breaker
        self._name = name

    def __enter__(self) -> Permit:
        self._settling = Settling(self._breaker, self._breaker.admit(self._name)).__enter__()
        return self._settling.permit

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._settling.__exit__(kind, error, tb)


def keep_lease(breaker: CircuitBreaker, permit: Permit) -> threading.Event:
    """Renew a probe's lease in a thread of its own until the returned event is set or the lease is lost."""
    done = threading.Event()
    period = breaker.gate.policy_for(permit.name).probe_lease / RENEWALS_PER_LEASE

    def keep() -> None:
        try:
            while not done.wait(period) and breaker.renew(permit):
                pass
        except Exception as failed:  # noqa: BLE001 - a thread of ours has nobody to raise to
            breaker.gate.report_failed(failed)

    threading.Thread(target=keep, name="cbstore-lease", daemon=True).start()
    return done
