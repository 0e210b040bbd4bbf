"""The simulation of a breaker over the calls of a log, by the rules of the stores."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cbstore_sql.breaker.ramp_gate import RampGate
from cbstore_sql.core.admission import ramp_share
from cbstore_sql.core.model import Permit, State, Verdict
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.replay.log import LoggedCall
from cbstore_sql.replay.outages import Outage, has_failed
from cbstore_sql.stores.memory import InMemoryStore

_NAME = "replayed"

# Seconds after an outage's last failure. A circuit that opens within this time opened because of the outage.
_GRACE = 1.0


class Detection(NamedTuple):
    """The reaction of a breaker to one outage.

    Attributes:
        seconds: The time from the outage's first failure until the circuit opened, in seconds. ``None`` means that the
            circuit did not go from closed to open because of this outage.
        failed_calls: The number of calls that the breaker admitted and that failed in this outage until the circuit
            opened. If ``seconds`` is ``None``, the number for the whole outage.
    """

    seconds: float | None
    failed_calls: int


class Replay(NamedTuple):
    """The result of running a log through one policy.

    Attributes:
        opened: The number of times that the circuit went from closed to open.
        false_alarms: The number of those openings that happened outside every outage. An opening up to 1 second after
            the end of an outage belongs to the outage.
        detections: The reactions to the outages, one for each outage, in the order of the outages.
        refused_good: The number of calls that the breaker refused although they succeeded in the log.
        refused_bad: The number of calls that the breaker refused and that failed in the log.
        failed: The number of calls that the breaker admitted and that failed during an outage.
    """

    opened: int
    false_alarms: int
    detections: list[Detection]
    refused_good: int
    refused_bad: int
    failed: int

    @property
    def calls_lost(self) -> int:
        """The number of lost calls: ``failed`` (admitted calls that failed in an outage) plus ``refused_good``."""
        return self.failed + self.refused_good

    @property
    def missed(self) -> int:
        """The number of outages during which the circuit did not go from closed to open."""
        return sum(found.seconds is None for found in self.detections)


def replay(calls: Sequence[LoggedCall], policy: BreakerPolicy, outages: Sequence[Outage]) -> Replay:
    """Run a log through one breaker that all processes of the log share.

    The simulated breaker counts the outcome of a call at the moment when the call ends. The function can replay only
    calls that are in the log. Record the log while the breaker is closed, so that no refused call is missing.

    Args:
        calls: The calls of the log, in the order in which they ended.
        policy: The policy of the breaker.
        outages: The times at which the dependency was broken; see `health_of`.
    """
    circuit = _Circuit(policy)
    for _, settles, index in _in_order(calls):
        call = calls[index]
        if settles:
            circuit.settle(index, call)
        else:
            circuit.admit(index, call.began)
    return _told(calls, circuit, policy, outages)


def replay_alone(calls: Sequence[LoggedCall], policy: BreakerPolicy, outages: Sequence[Outage]) -> Replay:
    """Run a log through breakers that share no state, one breaker for each process of the log, and add up the results.

    In the result, `Detection.seconds` is the time until the circuit of the last process opened. It is ``None`` if the
    circuit of at least one process did not open because of the outage.

    Args:
        calls: The calls of the log, in the order in which they ended.
        policy: The policy of every breaker.
        outages: The times at which the dependency was broken; see `health_of`.
    """
    by_process: dict[str, list[LoggedCall]] = {}
    for call in calls:
        by_process.setdefault(call.process, []).append(call)
    parts = [replay(own, policy, outages) for own in by_process.values()]
    detections = []
    for found in zip(*(part.detections for part in parts), strict=True):
        seconds = [one.seconds for one in found if one.seconds is not None]
        # The outage is detected when the circuit of the last process has opened.
        slowest = max(seconds) if len(seconds) == len(found) else None
        detections.append(Detection(slowest, sum(one.failed_calls for one in found)))
    return Replay(
        sum(part.opened for part in parts),
        sum(part.false_alarms for part in parts),
        detections,
        sum(part.refused_good for part in parts),
        sum(part.refused_bad for part in parts),
        sum(part.failed for part in parts),
    )


def _in_order(calls: Sequence[LoggedCall]) -> Iterable[tuple[float, bool, int]]:
    """Return the beginnings and ends of all calls in the order of time.

    At the same moment, ends come before beginnings. A call without a duration begins before it ends.

    Args:
        calls: The calls of the log, in the order in which they ended.

    Returns:
        One tuple for each beginning and each end: the Unix time in seconds, whether the call ends, and the index of the
        call.
    """
    begins = sorted((call.began, False, index) for index, call in enumerate(calls))
    ends = ((call.ended, True, index) for index, call in enumerate(calls))
    # A call without a duration begins and ends at the same moment. Its beginning must come first.
    return heapq.merge(begins, ends, key=lambda event: (event[0], _order(event, calls), event[2]))


def _order(event: tuple[float, bool, int], calls: Sequence[LoggedCall]) -> int:
    if calls[event[2]].seconds == 0.0:
        return 2 if event[1] else 1
    return 0 if event[1] else 1


class _Circuit:
    """A simulated breaker with the record of the calls that it refused and of the times at which it opened.

    Args:
        policy: The policy of the breaker.

    Attributes:
        refused: The indexes of the refused calls.
        opened: The Unix times in seconds at which the circuit went from closed to open.
    """

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._store = InMemoryStore(clock=lambda: 0.0)
        self._ramp = RampGate(lambda: 0.5)
        self._permits: dict[int, Permit] = {}
        # The permit of a closed circuit without failures. It saves a read of the store for most calls of a long log.
        self._clean: Permit | None = None
        self.refused: set[int] = set()
        self.opened: list[float] = []

    def admit(self, index: int, now: float) -> None:
        permit = self._permit(now)
        if permit is None:
            self.refused.add(index)
        else:
            self._permits[index] = permit

    def _permit(self, now: float) -> Permit | None:
        if self._clean is not None:
            return self._clean
        snapshot = self._store.read(_NAME, now=now)
        if snapshot.state is not State.CLOSED:
            claim = self._store.claim_probe(_NAME, self._policy, now=now) if snapshot.probe_claimable else None
            return claim.permit if claim else None
        if self._ramp.refusal(snapshot, self._policy.ramp_up) is not None:
            return None
        ramped = ramp_share(snapshot, self._policy.ramp_up) >= 1.0
        if ramped and snapshot.failure_count == 0 and snapshot.score == 0.0:
            self._clean = snapshot.permit
        return snapshot.permit

    def settle(self, index: int, call: LoggedCall) -> None:
        permit = self._permits.pop(index, None)
        if permit is None:
            return
        transition = None
        if has_failed(call, self._policy.slow_after):
            self._clean = None
            transition = self._store.record_failure(permit, self._policy, now=call.ended, rand=0.0)
        elif call.verdict is Verdict.SUCCESS and permit is not self._clean:
            self._store.record_success(permit, self._policy, now=call.ended)
        elif permit.is_probe:
            self._store.release_probe(permit, now=call.ended)
        if transition is not None and transition.changed and transition.previous_state is State.CLOSED:
            self.opened.append(call.ended)


def _told(calls: Sequence[LoggedCall], circuit: _Circuit, policy: BreakerPolicy, outages: Sequence[Outage]) -> Replay:
    failed = [has_failed(call, policy.slow_after) for call in calls]
    refused_bad = sum(failed[index] for index in circuit.refused)
    good = sum(calls[index].verdict is Verdict.SUCCESS and not failed[index] for index in circuit.refused)
    in_vain = [
        call.ended
        for index, call in enumerate(calls)
        if failed[index] and index not in circuit.refused and _within(call.ended, outages) is not None
    ]
    return Replay(
        opened=len(circuit.opened),
        false_alarms=sum(_within(moment, outages, _GRACE) is None for moment in circuit.opened),
        detections=[_detection(outage, circuit.opened, in_vain) for outage in outages],
        refused_good=good,
        refused_bad=refused_bad,
        failed=len(in_vain),
    )


def _within(moment: float, outages: Sequence[Outage], grace: float = 0.0) -> Outage | None:
    return next((outage for outage in outages if outage.began <= moment <= outage.ended + grace), None)


def _detection(outage: Outage, opened: Sequence[float], in_vain: Sequence[float]) -> Detection:
    at = next((moment for moment in opened if outage.began <= moment <= outage.ended + _GRACE), None)
    until = outage.ended if at is None else at
    failed = sum(outage.began <= moment <= until for moment in in_vain)
    return Detection(None if at is None else at - outage.began, failed)
