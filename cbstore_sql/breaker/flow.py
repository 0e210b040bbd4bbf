"""The store calls of a guarded call, without any I/O.

Each step of a call (admit, settle, renew) is a generator. It yields a `StoreCall`, receives the answer or the store's
error, and returns a result. The synchronous and the asynchronous breaker run the same generators: one calls the store,
the other awaits the store. While the store is unavailable, the same generators run over a store in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from time import monotonic
from typing import Any, TypeVar

from cbstore_sql.breaker.decision import decide, is_clean, pass_anyway, refuse_call
from cbstore_sql.breaker.outage.failures import was_not_applied
from cbstore_sql.breaker.own_score import OwnScores, clip_for
from cbstore_sql.breaker.ramp_gate import RampGate
from cbstore_sql.core.admission import Action, Admission, admission
from cbstore_sql.core.history import HistoryEntry
from cbstore_sql.core.model import (
    CleanPermit,
    OverrideMode,
    Permit,
    Snapshot,
    State,
    Transition,
    Verdict,
    new_token,
)
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.errors import CircuitBreakerOpenError, StoreError
from cbstore_sql.events import (
    BreakerEvent,
    Opened,
    OverrideCleared,
    OverrideSet,
    ProbeClaimed,
    ProbeExpired,
    ProbeLost,
    WouldHaveOpened,
    change_of,
)
from cbstore_sql.stores.call import StoreCall

T = TypeVar("T")

# Another caller wins each claim that is lost. After three lost claims, the call is refused.
_CLAIM_ATTEMPTS = 3


def soonest(refusals: Sequence[CircuitBreakerOpenError], name: str) -> CircuitBreakerOpenError:
    """Return the refusal with the shortest ``retry_after``, or a new refusal if ``refusals`` is empty.

    Args:
        refusals: The refusals. The sequence is empty if the caller lost every claim of a probe; the function then makes
            a new refusal.
        name: The breaker's name for the new refusal.
    """
    return min(refusals, key=lambda refused: refused.retry_after, default=CircuitBreakerOpenError(name=name))


StoreCalls = Generator[StoreCall, Any, T]


def nothing(*_: Any) -> None:
    """Do nothing: the default for a callback."""


class CallFlow:
    """The steps of guarded calls over one store. Each step raises the errors that the store raises.

    Args:
        policy_for: A function that returns the policy of one breaker.
        emit: A function that receives each event.
        reopen_on_no_verdict: What happens to a probe that ends without a verdict. ``False`` frees the probe for the
            next caller, ``True`` opens the circuit again.
        sends: Whether to send a success without waiting for the answer (`Store.send_success`) if the admission of the
            call read a circuit that is closed and has nothing to clear.
        clock: A function that returns seconds of a steady clock.
        note: A function that receives every snapshot from the store and the moment just before the store call, in
            seconds of ``clock``.
        forget: A function that receives the name of a breaker whose noted snapshot is out of date.
        announce: A function that receives every state change, before the listeners receive the event. The function must
            not wait or raise.
        successes_since: A function that receives a breaker's name and a moment of ``clock``, and returns how many
            unreported successes ended after the moment.
        claimed: A function that receives the name and the token of a claim whose answer did not arrive. The store may
            have accepted the claim.
        accepted: A function that receives the name of a breaker when the store has accepted a write of this breaker.
    """

    def __init__(
        self,
        policy_for: Callable[[str], BreakerPolicy],
        emit: Callable[[BreakerEvent], None],
        *,
        reopen_on_no_verdict: bool = False,
        sends: bool = False,
        clock: Callable[[], float] = monotonic,
        note: Callable[[Snapshot, float], object] = nothing,
        forget: Callable[[str], object] = nothing,
        announce: Callable[[Transition], object] = nothing,
        successes_since: Callable[[str, float], int] = lambda *_: 0,
        claimed: Callable[[str, str], object] = nothing,
        accepted: Callable[[str], object] = nothing,
    ) -> None:
        self.policy_for = policy_for
        self.emit = emit
        self._reopen = reopen_on_no_verdict
        self._sends = sends
        self._clock = clock
        self._note = note
        self._forget = forget
        self._announce = announce
        self._claimed = claimed
        self._accepted = accepted
        self._successes_since = successes_since
        self._ramps = RampGate()
        self._own_scores = OwnScores(clock)

    def admit(self, name: str, probes: frozenset[str] = frozenset()) -> StoreCalls[Permit]:
        """Admit or refuse a call; claim the probe if the open time is over.

        Args:
            name: The breaker's name.
            probes: The tokens from `probes_of_caller`; see `decision.decide`.

        Raises:
            CircuitBreakerOpenError: The circuit is open, locked, on hold or on its ramp, or another caller holds the
                probe.
        """
        for _ in range(_CLAIM_ATTEMPTS):
            snapshot = yield from self.read(name)
            permit = yield from self._admit_as_seen(snapshot, probes)
            if permit is not None:
                return permit
        refuse_call(snapshot, Admission(Action.REFUSE, retry_after=snapshot.retry_after), self.emit)

    def decide(self, snapshot: Snapshot, now: float, probes: frozenset[str] = frozenset()) -> Permit | None:
        """Admit or refuse a call on a snapshot; see `decision.decide`.

        Args:
            snapshot: The breaker.
            now: The store's clock, Unix seconds.
            probes: The tokens from `probes_of_caller`.

        Returns:
            The permit, or ``None`` if the caller must claim the probe.

        Raises:
            CircuitBreakerOpenError: The call is refused.
        """
        policy = self.policy_for(snapshot.name)
        return decide(snapshot, now, policy, self.emit, ramps=self._ramps, probes=probes)

    def admit_first(self, names: Sequence[str], probes: frozenset[str] = frozenset()) -> StoreCalls[Permit]:
        """Admit a call through the first of several circuits that admits calls. One store call reads all the circuits.

        Args:
            names: The breakers' names, the most preferred first; at least one.
            probes: The tokens from `probes_of_caller` for all these breakers.

        Raises:
            CircuitBreakerOpenError: No circuit admits the call. The error is the refusal with the shortest
                ``retry_after``.
        """
        asked_at, refusals = self._clock(), []
        snapshots: Mapping[str, Snapshot] = yield StoreCall("read_many", (names,))
        for snapshot in snapshots.values():
            self.saw(snapshot, asked_at)
        for name in names:
            try:
                permit = yield from self._admit_as_seen(snapshots[name], probes)
            except CircuitBreakerOpenError as refused:
                refusals.append(refused)
                continue
            if permit is not None:
                return permit
        raise soonest(refusals, names[0])

    def _admit_as_seen(self, snapshot: Snapshot, probes: frozenset[str]) -> StoreCalls[Permit | None]:
        """Admit or refuse a call by a snapshot that the store just returned.

        Args:
            snapshot: The breaker as the store returned it.
            probes: The tokens from `probes_of_caller`.

        Returns:
            The permit, or ``None`` if another caller won the probe.
        """
        permit = self.decide(snapshot, snapshot.as_of, probes)
        if self._sends and type(permit) is Permit and is_clean(snapshot, self.policy_for(snapshot.name)):
            return CleanPermit(*permit)
        if permit is None:
            permit = yield from self._claim(snapshot.name, self.policy_for(snapshot.name))
        if permit is None and (decided := admission(snapshot)).always:
            return pass_anyway(snapshot, decided, self.emit)
        return permit

    def hold(self, name: str, seconds: float) -> StoreCalls[Transition]:
        """Refuse all calls of a breaker for some time; see `Store.hold`.

        Args:
            name: The breaker's name.
            seconds: The length of the hold in seconds, from now.
        """
        return (yield from self._change(name, StoreCall("hold", (name, seconds))))

    def _claim(self, name: str, policy: BreakerPolicy) -> StoreCalls[Permit | None]:
        """Claim the probe.

        Args:
            name: The breaker's name.
            policy: The breaker's policy.

        Returns:
            The permit of the probe's owner, or ``None`` if another caller won the claim.
        """
        asked_at, token = self._clock(), new_token()
        try:
            claim: Transition | None = yield StoreCall("claim_probe", (name, policy), {"token": token})
            if claim is None:
                self.emit(ProbeLost(name))
                return None
            self._take_in(claim, asked_at)
            self.emit(ProbeClaimed(name, claim.permit, took_over=not claim.changed))
            return claim.permit
        except BaseException as error:
            # This includes what a signal handler raised: the caller does not go on, although the probe may be won.
            if not (isinstance(error, StoreError) and was_not_applied(error)):
                self._claimed(name, token)
            raise

    def release_claim(self, name: str, token: str) -> StoreCalls[bool]:
        """Release the probe of a claim whose answer did not arrive, if this claim won the probe.

        Args:
            name: The breaker's name.
            token: The token of the claim.

        Returns:
            Whether the claim won the probe.
        """
        snapshot = yield from self.read(name)
        won = snapshot.state is State.HALF_OPEN and snapshot.probe_token == token
        if won:
            yield from self._report(StoreCall("release_probe", (snapshot.permit,)), snapshot.permit)
        return won

    def read(self, name: str) -> StoreCalls[Snapshot]:
        """Return the snapshot of one breaker, which this method reads from the store."""
        asked_at = self._clock()
        snapshot: Snapshot = yield StoreCall("read", (name,))
        self.saw(snapshot, asked_at)
        return snapshot

    def saw(self, snapshot: Snapshot, asked_at: float) -> None:
        """Record a snapshot from the store.

        Args:
            snapshot: The breaker.
            asked_at: The moment just before the store call, in seconds of the steady clock.
        """
        self.follow_score(snapshot, asked_at)
        self._note(snapshot, asked_at)

    def follow_score(self, snapshot: Snapshot, asked_at: float) -> None:
        """Update the limit of what this process may add to the shared score; see `OwnScores.seen`.

        Args:
            snapshot: The breaker.
            asked_at: The moment just before the store call, in seconds of the steady clock.
        """
        trip = self.policy_for(snapshot.name).trip
        if trip is not None:
            step = trip.success_step
            self._own_scores.seen(snapshot, asked_at, lambda since: step * self._successes_since(snapshot.name, since))

    def settle(self, permit: Permit, verdict: Verdict, carried: int = 0) -> StoreCalls[None]:
        """Report a verdict.

        Args:
            permit: The permit of the admitted call.
            verdict: The verdict on the call: success, failure, or none (the call does not count).
            carried: The number of earlier successes of other calls that are not reported yet.
        """
        if verdict is Verdict.SUCCESS and type(permit) is CleanPermit:
            success = StoreCall("send_success", (permit, self.policy_for(permit.name)))
            yield from self._clipped(success, permit)
        elif verdict is Verdict.SUCCESS:
            yield from self.record_success(permit, 1 + carried)
        elif verdict is Verdict.FAILURE or (permit.is_probe and self._reopen):
            yield from self.record_failure(permit, successes=carried)
        elif permit.is_probe:
            yield from self._report(StoreCall("release_probe", (permit,)), permit)

    def record_success(self, permit: Permit, successes: int = 1) -> StoreCalls[Transition | None]:
        """Report successes; return ``None`` if they had no effect.

        Args:
            permit: The permit of the admitted call.
            successes: The number of successes.
        """
        return (yield from self._report(self._successes(permit, successes), permit))

    def record_failure(self, permit: Permit, failures: int = 1, successes: int = 0) -> StoreCalls[Transition | None]:
        """Report failures, and successes that came before the failures; return ``None`` if the report had no effect.

        Args:
            permit: The permit of the admitted call.
            failures: The number of failures.
            successes: The number of successes.
        """
        counted = {"failures": failures, "successes": successes} if successes else {"failures": failures}
        failure = StoreCall("record_failure", (permit, self.policy_for(permit.name)), counted)
        return (yield from self._report(failure, permit))

    def report_successes(self, permit: Permit, successes: int) -> StoreCalls[None]:
        """Report successes of a closed circuit in the background.

        Args:
            permit: A permit of the closed circuit.
            successes: The number of successes.
        """
        asked_at = self._clock()
        transition = yield from self._clipped(self._successes(permit, successes), permit)
        # If the report had no effect, the circuit was clean or has a later generation. The next refresh shows it.
        if transition is not None:
            self._take_in(transition, asked_at)

    def _successes(self, permit: Permit, successes: int) -> StoreCall:
        """Return the store call that reports successes.

        Args:
            permit: The permit of the report.
            successes: The number of successes.
        """
        counted = {} if successes == 1 else {"successes": successes}
        return StoreCall("record_success", (permit, self.policy_for(permit.name)), counted)

    def renew(self, permit: Permit) -> StoreCalls[bool]:
        """Extend the lease of a probe.

        Args:
            permit: The permit of the probe's owner.

        Returns:
            Whether the caller still owns the probe.
        """
        transition = yield StoreCall("renew_probe", (permit, self.policy_for(permit.name)))
        if transition is None:
            self.emit(ProbeExpired(permit.name, permit))
        return transition is not None

    def force_open(self, name: str, seconds: float) -> StoreCalls[Transition]:
        """Open a circuit; see `Store.force_open`.

        Args:
            name: The breaker's name.
            seconds: The open time in seconds, from now.
        """
        return (yield from self._change(name, StoreCall("force_open", (name, seconds))))

    def reset(self, name: str) -> StoreCalls[Transition]:
        """Close a circuit and clear its failure count, score and hold; see `Store.reset`."""
        return (yield from self._change(name, StoreCall("reset", (name,))))

    def set_override(self, name: str, mode: OverrideMode, **given: Any) -> StoreCalls[Transition]:
        """Set an override of a breaker; see `Store.set_override`.

        Args:
            name: The breaker's name.
            mode: ``"open"``, ``"closed"`` or ``"shadow"``.
            **given: The other arguments of `Store.set_override`.
        """
        transition = yield from self._change(name, StoreCall("set_override", (name, mode), given))
        self._announce_override(transition)
        self.emit(OverrideSet(name, transition.snapshot))
        return transition

    def clear_override(self, name: str, by: str) -> StoreCalls[Transition]:
        """Remove the override of a breaker.

        Args:
            name: The breaker's name.
            by: The person or program that removes the override.
        """
        transition = yield from self._change(name, StoreCall("clear_override", (name,), {"by": by}))
        self._announce_override(transition)
        self.emit(OverrideCleared(name, by))
        return transition

    def history(self, name: str) -> StoreCalls[tuple[HistoryEntry, ...]]:
        """Read the last state changes and overrides of one breaker."""
        entries: tuple[HistoryEntry, ...] = yield StoreCall("history", (name,))
        return entries

    def _announce_override(self, transition: Transition) -> None:
        """Announce an override to other processes as if it began a new generation."""
        # An override does not begin a generation, but other processes read a breaker again only for a later generation.
        snapshot = transition.snapshot
        self._announce(transition._replace(snapshot=snapshot._replace(generation=snapshot.generation + 1)))

    def _change(self, name: str, ask: StoreCall) -> StoreCalls[Transition]:
        """Make a store call that always has an effect, and record the transition.

        Args:
            name: The breaker's name.
            ask: The store call.
        """
        asked_at = self._clock()
        transition: Transition = yield ask
        self._learn(name, transition, asked_at)
        return transition

    def _report(self, report: StoreCall, permit: Permit) -> StoreCalls[Transition | None]:
        """Make a store call that reports an outcome, and record the transition.

        Args:
            report: The store call.
            permit: The permit of the report.
        """
        asked_at = self._clock()
        transition = yield from self._clipped(report, permit)
        self._learn(permit.name, transition, asked_at)
        if transition is None and permit.is_probe:
            self.emit(ProbeExpired(permit.name, permit))
        return transition

    def _clipped(self, report: StoreCall, permit: Permit) -> StoreCalls[Transition | None]:
        """Make a store call. Under ``min_reporters``, clip what a report adds to the score to this process's limit.

        Args:
            report: The store call.
            permit: The permit of the report.
        """
        policy = self.policy_for(permit.name)
        counts = report.operation in ("record_failure", "record_success", "send_success") and not permit.is_probe
        if policy.trip is None or policy.min_reporters == 1 or not counts:
            unclipped: Transition | None = yield report
            return unclipped
        failed = report.operation == "record_failure"
        step = report.keywords["failures"] * policy.trip.failure_step if failed else 0.0
        relief = report.keywords.get("successes", 0 if failed else 1) * policy.trip.success_step
        sent = self._own_scores.begin(permit.name, permit.generation, step, clip_for(policy.min_reporters))
        if failed:
            report = report._replace(keywords={**report.keywords, "evidence": sent.gain})
        applied: bool | None = None
        try:
            transition: Transition | None = yield report
            # If successes had no effect, the circuit was clean. If failures had none, their generation was out of date.
            applied = transition is not None or not failed
        except StoreError as error:
            applied = False if was_not_applied(error) else None
            raise
        finally:
            self._own_scores.end(sent, relief, applied=applied)
        return transition

    def _learn(self, name: str, transition: Transition | None, asked_at: float) -> None:
        """Record the transition of a report. If the report had no effect, forget the snapshot.

        Args:
            name: The breaker's name.
            transition: The transition that the store returned; ``None`` if the report had no effect, so the snapshot is
                out of date.
            asked_at: The moment just before the store call, in seconds of the steady clock.
        """
        if transition is None:
            self._forget(name)
            return
        self._take_in(transition, asked_at)

    def _take_in(self, transition: Transition, asked_at: float) -> None:
        """Record a transition: the snapshot, the accepted write, and the events.

        Args:
            transition: The transition that the store returned.
            asked_at: The moment just before the store call, in seconds of the steady clock.
        """
        self.saw(transition.snapshot, asked_at)
        self._accepted(transition.snapshot.name)
        if (event := change_of(transition)) is not None:
            self._announce(transition)
            self.emit(event)
            if isinstance(event, Opened) and event.snapshot.active_override == "shadow":
                self.emit(WouldHaveOpened(event.name, event.snapshot))
