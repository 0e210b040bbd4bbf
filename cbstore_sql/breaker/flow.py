"""The store calls of a guarded call, without any I/O.

Each step of a call (admit, settle, renew) is a generator. It yields a `StoreCall`, receives the answer or the store's
error, and returns a result. The synchronous and the asynchronous breaker run the same generators: one calls the store,
the other awaits the store. While the store is unavailable, the same generators run over a store in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

from cbstore_sql.breaker.decision import decide, is_clean, needs_decision, pass_anyway, refuse_call
from cbstore_sql.breaker.direct_changes import DirectChanges
from cbstore_sql.breaker.outage.failures import was_not_applied
from cbstore_sql.breaker.ramp_gate import RampGate
from cbstore_sql.breaker.score_limit import ScoreLimit
from cbstore_sql.breaker.store_answers import StoreAnswers
from cbstore_sql.core.admission import Action, Admission, admission
from cbstore_sql.core.history import HistoryEntry
from cbstore_sql.core.model import CleanPermit, Permit, Snapshot, State, Transition, Verdict, new_token
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.errors import CircuitBreakerOpenError, StoreError
from cbstore_sql.events import BreakerEvent, ProbeClaimed, ProbeExpired, ProbeLost
from cbstore_sql.stores.call import StoreCall, StoreCalls

# Another caller wins each claim that is lost. After three lost claims, the call is refused.
_CLAIM_ATTEMPTS = 3


def soonest(refusals: Sequence[CircuitBreakerOpenError], name: str) -> CircuitBreakerOpenError:
    """Choose the rejection with the shortest ``retry_after`` from the rejections of several breakers.

    Args:
        refusals: The rejections. Empty if every breaker had a due probe and other callers became the owners.
        name: The breaker's name for a new error, if ``refusals`` is empty.

    Returns:
        The error to raise.
    """
    return min(refusals, key=lambda refused: refused.retry_after, default=CircuitBreakerOpenError(name=name))


def nothing(*_: Any) -> None:
    """Do nothing, with any arguments. This is the default value of optional callback functions."""


class CallFlow:
    """The steps of guarded calls over one store: admit a call, report its outcome, keep a probe.

    Each method returns a generator of store calls, which the breaker runs. An error of the store ends the generator.
    `BreakerController`, which uses this class, handles outages.

    Args:
        policy_for: A function that returns the policy of one breaker.
        emit: A function that receives each event.
        reopen_on_no_verdict: What happens to a probe that ends neither as a success nor as a failure. ``False`` lets
            the next caller make the probe, ``True`` opens the circuit again.
        sends: Whether to send a success without waiting for the answer (`Store.send_success`) if the circuit was closed
            and had no failures when the call was admitted.
        clock: A function that returns seconds. Only differences between them matter.
        note: A function that receives every snapshot from the store and the moment just before the store call, in
            seconds of ``clock``.
        forget: A function that receives the name of a breaker whose last snapshot is out of date.
        announce: A function that receives every state change, before the listeners receive the event. The function must
            not wait or raise.
        successes_since: A function that receives a breaker's name and a moment of ``clock``. It returns how many
            successes that this process has not reported ended after the moment.
        claimed: A function that is called if this process asked for the probe and no answer arrived, so that it may be
            the owner. It receives the breaker's name and the token of the probe.
        accepted: A function that receives the name of a breaker when the store has accepted a write of this breaker.

    Attributes:
        changes: The object that makes changes at once, for an operator or because the dependency asked for it.
        limit: The limit on what this process adds to the shared scores.
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
        self._claimed = claimed
        self._ramps = RampGate()
        self.limit = ScoreLimit(policy_for, clock, successes_since)
        self._answers = StoreAnswers(self.saw, forget, accepted, announce, emit)
        self.changes = DirectChanges(self._answers, clock)

    def admit(self, name: str, probes: frozenset[str] = frozenset()) -> StoreCalls[Permit]:
        """Ask the store whether a call may go ahead, and become the owner of the probe if the probe is due.

        Args:
            name: The breaker's name.
            probes: The tokens of the probes that the caller is inside, from `probes_of_caller`.

        Returns:
            A generator of store calls that returns the permit.

        Raises:
            CircuitBreakerOpenError: The breaker rejects the call, or other callers became the owner of the probe.
        """
        for _ in range(_CLAIM_ATTEMPTS):
            snapshot = yield from self.read(name)
            permit = yield from self._admit_as_seen(snapshot, probes)
            if permit is not None:
                return permit
        refuse_call(snapshot, Admission(Action.REFUSE, retry_after=snapshot.retry_after), self.emit)

    def decide(self, snapshot: Snapshot, now: float, probes: frozenset[str] = frozenset()) -> Permit | None:
        """Decide by a snapshot of a breaker, without the store, whether a call may go ahead; see `decision.decide`.

        Args:
            snapshot: The breaker, as this process last saw it.
            now: The store's clock, Unix seconds.
            probes: The tokens of the probes that the caller is inside, from `probes_of_caller`.

        Returns:
            The permit if the call may go ahead. ``None`` if the probe is due, so the caller must try to become its
            owner.

        Raises:
            CircuitBreakerOpenError: The call is rejected.
        """
        policy = self.policy_for(snapshot.name)
        return decide(snapshot, now, policy, self.emit, ramps=self._ramps, probes=probes)

    def admit_first(self, names: Sequence[str], probes: frozenset[str] = frozenset()) -> StoreCalls[Permit]:
        """Ask the store for the first of several breakers that admits a call. One store call reads all the breakers.

        Args:
            names: The breakers' names, the most preferred first; at least one.
            probes: The tokens of the probes that the caller is inside, from `probes_of_caller`.

        Returns:
            A generator of store calls that returns the permit.

        Raises:
            CircuitBreakerOpenError: No breaker admits the call. Of the errors of all breakers, this is the error with
                the shortest ``retry_after``.
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
        policy = self.policy_for(snapshot.name)
        if snapshot.state is State.CLOSED and not needs_decision(snapshot, policy):
            clean = self._sends and policy.min_reporters == 1 and is_clean(snapshot, policy)
            return CleanPermit(snapshot.name, snapshot.generation) if clean else snapshot.permit
        permit = self.decide(snapshot, snapshot.as_of, probes)
        if permit is None:
            permit = yield from self._claim(snapshot.name, policy)
        if permit is None and (decided := admission(snapshot)).always:
            return pass_anyway(snapshot, decided, self.emit)
        return permit

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
            self._answers.wrote(claim, asked_at)
            self.emit(ProbeClaimed(name, claim.permit, took_over=not claim.changed))
            return claim.permit
        except BaseException as error:
            # This includes what a signal handler raised: the caller does not go on, although the probe may be won.
            if not (isinstance(error, StoreError) and was_not_applied(error)):
                self._claimed(name, token)
            raise

    def release_claim(self, name: str, token: str) -> StoreCalls[bool]:
        """Release a probe that this process asked for, if it became the owner although no answer arrived.

        Args:
            name: The breaker's name.
            token: The token with which this process asked for the probe.

        Returns:
            A generator of store calls. It returns ``True`` if this process was the owner, so that the probe is released
            now.
        """
        snapshot = yield from self.read(name)
        won = snapshot.state is State.HALF_OPEN and snapshot.probe_token == token
        if won:
            yield from self._report(StoreCall("release_probe", (snapshot.permit,)), snapshot.permit)
        return won

    def read(self, name: str) -> StoreCalls[Snapshot]:
        """Read one breaker from the store, and pass it to the function ``note``.

        Returns:
            A generator of store calls that returns the breaker's state, counts and times.
        """
        asked_at = self._clock()
        snapshot: Snapshot = yield StoreCall("read", (name,))
        self.saw(snapshot, asked_at)
        return snapshot

    def saw(self, snapshot: Snapshot, asked_at: float) -> None:
        """Take note of a snapshot that the store returned: pass it to ``note``, and follow the shared score.

        Args:
            snapshot: The breaker.
            asked_at: The moment just before the store call, in seconds of ``clock``.
        """
        self.limit.follow(snapshot, asked_at)
        self._note(snapshot, asked_at)

    def history(self, name: str) -> StoreCalls[tuple[HistoryEntry, ...]]:
        """Read the last state changes and overrides of one breaker from the store, the oldest first."""
        entries: tuple[HistoryEntry, ...] = yield StoreCall("history", (name,))
        return entries

    def settle(self, permit: Permit, verdict: Verdict, carried: int = 0) -> StoreCalls[None]:
        """Report the outcome of an admitted call to the store.

        Args:
            permit: The permit of the admitted call.
            verdict: What the outcome says about the dependency: success, failure, or none (the call does not count).
            carried: The number of earlier successes of other calls that this process has not reported. The report
                includes them.
        """
        if verdict is Verdict.SUCCESS:
            yield from self.record_success(permit, 1 + carried)
        elif verdict is Verdict.FAILURE or (permit.is_probe and self._reopen):
            yield from self.record_failure(permit, successes=carried)
        elif permit.is_probe:
            yield from self._report(StoreCall("release_probe", (permit,)), permit)

    def record_success(self, permit: Permit, successes: int = 1) -> StoreCalls[Transition | None]:
        """Report one or more successes of a breaker to the store.

        Args:
            permit: The permit of an admitted call.
            successes: The number of successes.

        Returns:
            A generator of store calls. It returns ``None`` if the report had no effect; otherwise the state before it
            and the breaker after it.
        """
        return self._report(self._successes(permit, successes), permit)

    def record_failure(self, permit: Permit, failures: int = 1, successes: int = 0) -> StoreCalls[Transition | None]:
        """Report failures to the store, and the successes that came before them.

        Args:
            permit: The permit of an admitted call.
            failures: The number of failures.
            successes: The number of successes before the failures.

        Returns:
            A generator of store calls. It returns ``None`` if the report had no effect; otherwise the state before it
            and the breaker after it.
        """
        counted = {"failures": failures, "successes": successes} if successes else {"failures": failures}
        failure = StoreCall("record_failure", (permit, self.policy_for(permit.name)), counted)
        return self._report(failure, permit)

    def report_successes(self, permit: Permit, successes: int) -> StoreCalls[None]:
        """Report successes of a closed circuit to the store, in the background.

        If the report changes nothing in the store, the process goes on using its last snapshot of the breaker.

        Args:
            permit: A permit of the closed circuit.
            successes: The number of successes.
        """
        asked_at = self._clock()
        transition = yield from self.limit.send(self._successes(permit, successes), permit)
        # If the report had no effect, the circuit was clean or has a later generation. The next refresh shows it.
        if transition is not None:
            self._answers.wrote(transition, asked_at)

    def _successes(self, permit: Permit, successes: int) -> StoreCall:
        """Return the store call that reports successes.

        Args:
            permit: The permit of the report.
            successes: The number of successes.
        """
        counted = {} if successes == 1 else {"successes": successes}
        return StoreCall("record_success", (permit, self.policy_for(permit.name)), counted)

    def renew(self, permit: Permit) -> StoreCalls[bool]:
        """Keep a probe for its caller for another ``probe_lease`` seconds, from now.

        Args:
            permit: The permit of the probe.

        Returns:
            A generator of store calls. It returns ``True`` if the probe still belongs to the caller.
        """
        transition = yield StoreCall("renew_probe", (permit, self.policy_for(permit.name)))
        if transition is None:
            self.emit(ProbeExpired(permit.name, permit))
        return transition is not None

    def _report(self, report: StoreCall, permit: Permit) -> StoreCalls[Transition | None]:
        """Make a store call that reports an outcome, and record the transition.

        Args:
            report: The store call.
            permit: The permit of the report.
        """
        asked_at = self._clock()
        transition = yield from self.limit.send(report, permit)
        self._answers.reported(permit.name, transition, asked_at)
        if transition is None and permit.is_probe:
            self.emit(ProbeExpired(permit.name, permit))
        return transition
