"""The contract of a store: what every backend promises, operation by operation.

One store holds the breakers of one namespace. Each operation is one atomic step on one breaker: if any number of
threads and processes call at once, the outcome is as if they had called one after the other, and exactly one
of them sees each change of state. A breaker that has no row reads as closed and clean.

All moments are Unix seconds by the store's own clock unless the caller passes ``now``; all durations are seconds.

Every operation that takes a *target* takes a `Permit` or a name. A report through a permit is fenced: it has an
effect only while the breaker is in the permit's generation and, during a probe, only from the probe's owner. A report
by name is unfenced: it counts whatever happened since the call was admitted.

Every operation may raise:

* `InvalidNameError`, `InvalidPolicyError`, `InvalidStateError`: bad input; nothing was written.
* `SchemaError`: the table is missing or outdated; nothing was written.
* `StoreUnavailableError`: the store could not be reached or did not answer; ``applied`` tells what is known.
* `StoreConflictError`: still contended after every repetition; nothing was written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from types import TracebackType
from typing import TypeVar

from cbstore_sql.core import commands, validation
from cbstore_sql.core.commands import Command
from cbstore_sql.core.history import HistoryEntry, decode_history
from cbstore_sql.core.model import OverrideMode, Permit, Snapshot, Transition
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.errors import UnknownBreakerError
from cbstore_sql.runtime.pickling import NotPicklable

StoreT = TypeVar("StoreT", bound="Store")

NOBODYS_PROBE = Permit("cbstore.check_writable", 0, "nobody")
"""A permit that the store never gave: releasing it is a write whose condition never holds."""


class Store(NotPicklable, ABC):
    """Shared breaker state, for synchronous callers; safe to use from many threads.

    A backend implements `_read`, `_apply` and `_delete`, and `_history` if it keeps one. One whose `_apply` decides
    before it writes also implements `_check_writable`.

    Args:
        namespace: Keeps the breakers of one application apart from another's in the same database.

    Raises:
        InvalidNameError: The namespace is too long, or has a NUL or a lone surrogate.
    """

    reads_locally = False
    """Whether a read costs as little as a local cache of it would."""

    keeps_deadlines = False
    """Whether operations give up by themselves at the deadline set around them; see `cbstore_sql.deadline`."""

    def __init__(self, namespace: str = "default") -> None:
        self.namespace = validation.check_name("namespace", namespace)

    def read(self, name: str, *, now: float | None = None) -> Snapshot:
        """Return one breaker as it is; writes nothing.

        Args:
            name: The breaker's name, at most 512 bytes of UTF-8.
            now: Becomes the snapshot's ``as_of``; ``None`` means the store's clock.
        """
        return self._read(validation.check_name("breaker name", name), validation.check_time("now", now))

    def read_many(self, names: Iterable[str], *, now: float | None = None) -> dict[str, Snapshot]:
        """Return several breakers as they are, by name; writes nothing.

        SQL stores read them all in one statement; other stores read one after the other.

        Args:
            names: The breakers' names. The answer has every one of them, with or without a row.
            now: Becomes every snapshot's ``as_of``; ``None`` means the store's clock.
        """
        checked = [validation.check_name("breaker name", name) for name in dict.fromkeys(names)]
        moment = validation.check_time("now", now)
        return self._read_many(checked, moment) if checked else {}

    def claim_probe(
        self,
        name: str,
        policy: BreakerPolicy = DEFAULT_POLICY,
        *,
        token: str | None = None,
        now: float | None = None,
    ) -> Transition | None:
        """Try to become the one caller that may test the dependency.

        An open circuit whose time has elapsed becomes half_open. A half-open circuit whose probe is free, or whose
        owner's lease has ended, gets a new owner. Atomic: one of the callers wins; the others write nothing. During a
        hold or the override ``open`` every claim is lost; the override ``closed`` ignores holds.

        Args:
            name: The breaker's name.
            policy: Its ``probe_lease`` is how long the claim lasts.
            token: Who claims. A repeated claim with the token of the present owner is answered like the first, so
                a claim whose reply was lost can be repeated. ``None`` makes a fresh one.
            now: Unix seconds; ``None`` means the store's clock.

        Returns:
            The transition, whose ``permit`` is the owner's, or ``None`` when the claim was lost.
        """
        return self._apply(commands.claim_probe(name, policy, token, now))

    def record_failure(
        self,
        target: str | Permit,
        policy: BreakerPolicy = DEFAULT_POLICY,
        *,
        failures: int = 1,
        successes: int = 0,
        evidence: float | None = None,
        now: float | None = None,
        rand: float | None = None,
    ) -> Transition | None:
        """Count failures: closed opens when the policy trips, half_open opens at once.

        A report applies its successes first, then its failures. Not idempotent: after a lost reply, a repetition may
        count twice.

        Args:
            target: A permit (fenced) or a name (unfenced). Unfenced, a failure while the circuit is open counts
                and moves the deadline to at least now + ``recovery_timeout``.
            policy: Trip rule, open time, backoff and jitter.
            failures: The failures of this report; at least 1.
            successes: The successes that came before those failures; 0 for none. Any number of them restarts the
                count of failures in a row; under `FailureRate` each one lowers the score.
            evidence: Under `FailureRate`: what to add to the score, as a share of the limit from 0 to 1. ``None`` means
                what the failures weigh. Not allowed with other policies.
            now: Unix seconds; ``None`` means the store's clock.
            rand: The random number behind ``recovery_jitter``, from 0 to 1; ``None`` draws one.

        Returns:
            The transition, or ``None`` when the permit is stale and nothing was counted.
        """
        command = commands.record_failure(target, policy, failures, now, rand, successes=successes, evidence=evidence)
        return self._apply(command)

    def record_success(
        self,
        target: str | Permit,
        policy: BreakerPolicy = DEFAULT_POLICY,
        *,
        successes: int = 1,
        expected_state: str | None = None,
        now: float | None = None,
    ) -> Transition | None:
        """Clear the count of a closed circuit; close a half-open one, or bring it one probe nearer.

        An open circuit is left alone. A closed circuit without failures is not written at all. Idempotent, except under
        `FailureRate`, where each repetition lowers the score of a closed circuit again.

        Args:
            target: A permit (fenced) or a name (unfenced).
            policy: Its ``success_threshold`` and ``trip``.
            successes: The successes of this report; at least 1. Only the score of `FailureRate` counts them; for a
                half-open circuit they are one successful probe.
            expected_state: Have an effect only in this state; ``None`` means any.
            now: Unix seconds; ``None`` means the store's clock.

        Returns:
            The transition, or ``None`` when there was nothing to do or the permit is stale.
        """
        return self._apply(commands.record_success(target, policy, expected_state, now, successes=successes))

    def release_probe(self, permit: Permit, *, now: float | None = None) -> Transition | None:
        """Free the probe without a verdict; another caller may claim it at once. Idempotent.

        Args:
            permit: The owner's permit.
            now: Unix seconds; ``None`` means the store's clock. It only becomes the snapshot's ``as_of``.

        Returns:
            The transition, or ``None`` when the permit no longer owns the probe.

        Raises:
            InvalidStateError: The permit never owned a probe.
        """
        return self._apply(commands.release_probe(permit, now))

    def renew_probe(
        self, permit: Permit, policy: BreakerPolicy = DEFAULT_POLICY, *, now: float | None = None
    ) -> Transition | None:
        """Extend the owner's lease to at least now + ``probe_lease``; never shortens it. Idempotent.

        Args:
            permit: The owner's permit.
            policy: Its ``probe_lease``.
            now: Unix seconds; ``None`` means the store's clock.

        Returns:
            The transition, or ``None`` when another caller took the probe over or the probe is settled.

        Raises:
            InvalidStateError: The permit never owned a probe.
        """
        return self._apply(commands.renew_probe(permit, policy, now))

    def force_open(self, name: str, seconds: float, *, by: str | None = None, now: float | None = None) -> Transition:
        """Open the circuit until at least now + ``seconds``; never shortens an open time.

        Earlier permits lose their effect. Safe to repeat.

        Args:
            name: The breaker's name.
            seconds: The open time in seconds, from now. 0 lets a caller claim the probe at once.
            by: Who does it, for the history; ``None`` means this process.
            now: Unix seconds; ``None`` means the store's clock.
        """
        return self._always(commands.force_open(name, seconds, now, by))

    def reset(self, name: str, *, by: str | None = None, now: float | None = None) -> Transition:
        """Return the breaker to closed and clean, without a hold or a ramp; an override stays.

        Earlier permits lose their effect. Safe to repeat.

        Args:
            name: The breaker's name.
            by: Who does it, for the history; ``None`` means this process.
            now: Unix seconds; ``None`` means the store's clock.
        """
        return self._always(commands.reset(name, now, by))

    def hold(self, name: str, seconds: float, *, now: float | None = None) -> Transition:
        """Let no process admit a call before now + ``seconds``; never shortens a hold. The state stays as it is.

        It acts where calls are admitted: reports count as before. Safe to repeat.

        Args:
            name: The breaker's name.
            seconds: How long, in seconds from now.
            now: Unix seconds; ``None`` means the store's clock.
        """
        return self._always(commands.hold(name, seconds, now))

    def set_override(
        self,
        name: str,
        mode: OverrideMode,
        *,
        by: str,
        reason: str,
        seconds: float | None = None,
        create: bool = False,
        now: float | None = None,
    ) -> Transition:
        """Lock the breaker, in every process, until the override expires or `clear_override` removes it.

        It acts where calls are admitted: reports count as before, and the state machine goes on underneath. A new
        override replaces the one before. When it expires, nothing is written.

        Args:
            name: The breaker's name.
            mode: ``"open"`` refuses every call. ``"closed"`` refuses none, not even during a hold. ``"shadow"`` refuses
                none and reports what the breaker would have done.
            by: Who sets it; at most 256 bytes of UTF-8.
            reason: Why, for whoever looks at the breaker next; at most 256 bytes of UTF-8.
            seconds: How many seconds it lasts, by the store's clock; ``None`` means until it is cleared.
            create: Whether to create the breaker if it does not exist.
            now: Unix seconds; ``None`` means the store's clock.

        Raises:
            UnknownBreakerError: The breaker does not exist, and ``create`` is false.
        """
        command = commands.set_override(name, mode, by, reason, seconds=seconds, create=create, now=now)
        return self._existing(command)

    def clear_override(self, name: str, *, by: str, now: float | None = None) -> Transition:
        """Remove the override; without one, nothing changes. Safe to repeat.

        Args:
            name: The breaker's name.
            by: Who removes it; at most 256 bytes of UTF-8.
            now: Unix seconds; ``None`` means the store's clock.

        Raises:
            UnknownBreakerError: The breaker does not exist.
        """
        return self._existing(commands.clear_override(name, by, now))

    def history(self, name: str) -> tuple[HistoryEntry, ...]:
        """Return the last state changes and overrides of a breaker, about eight, oldest first; writes nothing.

        Empty for a breaker that has no row, and for stores that keep no history.

        Args:
            name: The breaker's name.
        """
        return decode_history(self._history(validation.check_name("breaker name", name)))

    def check_writable(self) -> None:
        """Have the store accept one write that changes nothing, and return if it did.

        A store that can be read may still refuse writes: a standby, a read-only file, a Redis without its replicas.
        A full disk, a locked row and a standby that a commit waits for show only with a write that changes something.

        Raises:
            StoreError: The store refuses writes or does not answer.
        """
        self._check_writable()

    def close(self) -> None:
        """Close the connections that the store opened; a client or an engine that was passed in stays open."""

    def __enter__(self: StoreT) -> StoreT:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _always(self, command: Command) -> Transition:
        transition = self._apply(command)
        if transition is None:
            raise AssertionError(f"{command.operation} has no condition")
        return transition

    def _existing(self, command: Command) -> Transition:
        transition = self._apply(command)
        if transition is None:
            raise UnknownBreakerError(command.name)
        return transition

    def _history(self, name: str) -> str:
        """Return the text of a breaker's history; a store that keeps none returns ``""``."""
        return ""

    def _read_many(self, names: list[str], now: float | None) -> dict[str, Snapshot]:
        """Return several breakers; override this to read them in one round trip."""
        return {name: self._read(name, now) for name in names}

    def _check_writable(self) -> None:
        """See `check_writable`. By default: release a probe without an owner, which no breaker's state allows."""
        self._apply(commands.release_probe(NOBODYS_PROBE, None))

    @abstractmethod
    def _read(self, name: str, now: float | None) -> Snapshot:
        """Return one breaker; one without a row shows ``Row()``."""

    @abstractmethod
    def _apply(self, command: Command) -> Transition | None:
        """Carry out one command in one atomic step.

        Returns:
            The transition. ``None`` if the rule's condition does not hold, or if the breaker has no row and
            ``command.creates`` is false.
        """

    @abstractmethod
    def _delete(self, name: str) -> None:
        """Delete one breaker's row."""
