"""The contract of a store: what every backend guarantees for each operation.

One store holds the breakers of one namespace. Each operation is one atomic step on one breaker. If any number of
threads and processes call at the same time, the outcome is as if they had called one after the other, and exactly one
caller sees each change of state. A breaker that has no row reads as closed, without failures.

All moments are Unix seconds by the store's clock, unless the caller passes ``now``. All durations are seconds.

Every operation with a *target* accepts a `Permit` or a name. A report with a permit is fenced: it has an effect only
while the breaker still has the permit's generation and, during a probe, only if the permit is that of the probe's
owner. A report by name is unfenced: it counts even if the breaker has changed since the call was admitted.

Every operation may raise:

* `InvalidNameError`, `InvalidPolicyError`, `InvalidStateError`: the input is invalid. Nothing was written.
* `SchemaError`: the table is missing or outdated. Nothing was written.
* `StoreUnavailableError`: the store was unreachable or did not answer. The error's ``applied`` is ``False`` if the
  operation had no effect, and ``None`` if the effect is unknown.
* `StoreConflictError`: other writers won every repetition of the operation. Nothing was written.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import TypeVar

from cbstore_sql.core import commands, validation
from cbstore_sql.core.history import HistoryEntry, decode_history
from cbstore_sql.core.model import Permit, Snapshot, Transition
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.stores.operator_actions import OperatorActions

StoreT = TypeVar("StoreT", bound="Store")


class Store(OperatorActions):
    """A place that keeps the breakers of one namespace, with synchronous methods.

    Many threads may use one store at the same time. Every operation is atomic, also between processes.

    A subclass implements the methods of `cbstore_sql.stores.backend.Backend`.

    Args:
        namespace: The name that separates the breakers of this application from those of other applications in the same
            database; at most 512 bytes of UTF-8.

    Raises:
        InvalidNameError: The namespace is too long, or contains a NUL character or a character that UTF-8 cannot encode
            (a lone surrogate).
    """

    reads_locally = False
    """Whether a read is as cheap as a read from a local cache."""

    keeps_deadlines = False
    """Whether each operation raises an error at the deadline of its caller; see `cbstore_sql.deadline`."""

    def __init__(self, namespace: str = "default") -> None:
        self.namespace = validation.check_name("namespace", namespace)

    def read(self, name: str, *, now: float | None = None) -> Snapshot:
        """Read one breaker and return its snapshot. This method writes nothing.

        Args:
            name: The breaker's name, at most 512 bytes of UTF-8. A name without a row gives a closed breaker without
                failures.
            now: The moment that the snapshot gives as ``as_of``, Unix seconds. ``None`` means the store's clock.
        """
        return self._read(validation.check_name("breaker name", name), validation.check_time("now", now))

    def read_many(self, names: Iterable[str], *, now: float | None = None) -> dict[str, Snapshot]:
        """Read several breakers and return their snapshots by name. This method writes nothing.

        SQL stores read all breakers in one statement. Other stores read one breaker after the other.

        Args:
            names: The breakers' names. The result has every name. A name without a row gives a closed breaker without
                failures.
            now: The moment that every snapshot gives as ``as_of``, Unix seconds. ``None`` means the store's clock.
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
        """Try to become the owner of the probe: the one caller that may test the dependency.

        An open circuit becomes half_open if the open time has ended. A half-open circuit gets a new owner if the probe
        is free or if the former owner's lease (the time for which the probe belongs to its owner) has ended. The claim
        is atomic: one of the callers wins, and the other callers write nothing. During a hold (a pause that the
        dependency asked for) or the override ``open`` (a setting of an operator), no caller wins. The override
        ``closed`` ignores holds.

        Args:
            name: The breaker's name.
            policy: The policy whose ``probe_lease`` is the duration of the lease in seconds.
            token: A text that identifies the caller. A caller whose reply was lost may repeat the claim with the same
                token, and gets the same answer. ``None`` makes a new token.
            now: The moment of the claim, Unix seconds; ``None`` means the store's clock.

        Returns:
            The transition, whose ``permit`` is the owner's permit, or ``None`` if this caller did not win the claim.
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
        """Count failures. A closed circuit opens if the policy says so. A half-open circuit opens at once.

        The store applies the successes of a report first, then the failures. If the reply was lost, a repetition may
        count the failures twice.

        Args:
            target: The permit of the call, or the breaker's name. A report with a permit counts only if the breaker
                still has the permit's generation (a number that grows with each change of state, each reset and each
                claim of the probe). A report by name always counts; if the circuit is open, the open time then ends at
                now + ``recovery_timeout`` or later.
            policy: The policy that says when the circuit opens, and for how long.
            failures: The number of failures in this report; at least 1.
            successes: The number of successes that came before the failures; at least 0. If there are successes, the
                count of failures in a row starts again. Under `FailureRate`, each success lowers the score.
            evidence: How much the failures raise the score, from 0 to 1; only under `FailureRate`. ``None`` means that
                ``failures`` and the policy determine the increase.
            now: The moment of the failure, Unix seconds; ``None`` means the store's clock.
            rand: The random number for ``recovery_jitter``, from 0 to 1. If ``None``, the store draws the number.

        Returns:
            The transition, or ``None`` if the permit no longer counts. Then the store counted nothing.
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
        """Count a success: clear the failures of a closed circuit, or bring a half-open circuit closer to closed.

        A half-open circuit closes after ``success_threshold`` successful probes. A success does not change an open
        circuit. Nothing is written for a closed circuit without failures. A repetition with the same permit changes
        nothing more, except under `FailureRate`, where each repetition lowers the score of a closed circuit again.

        Args:
            target: The permit of the call, or the breaker's name. A report with a permit counts only if the breaker
                still has the permit's generation (a number that grows with each change of state, each reset and each
                claim of the probe). A report by name always counts.
            policy: The policy with ``success_threshold`` and ``trip``.
            successes: The number of successes in this report; at least 1. Only the score of `FailureRate` depends on
                this number. For a half-open circuit, any number counts as one successful probe.
            expected_state: The report has an effect only in this state; ``None`` means any state.
            now: The moment of the success, Unix seconds; ``None`` means the store's clock.

        Returns:
            The transition, or ``None`` if the report changed nothing or the permit no longer counts.
        """
        return self._apply(commands.record_success(target, policy, expected_state, now, successes=successes))

    def send_success(self, permit: Permit, policy: BreakerPolicy = DEFAULT_POLICY) -> bool:
        """Send the success of a call whose admission read a closed circuit with nothing to clear; do not wait.

        The effect is that of `record_success`: the success clears failures that were counted during the call. The
        effect may come after this method has returned. The report is lost if the connection breaks or the server
        refuses the report. The store meets such an error at its next operation.

        Only a store on PostgreSQL that was made from a URL sends, and only if an idle connection can send at once.

        Args:
            permit: The permit of the call.
            policy: The policy of `record_success`.

        Returns:
            Whether the report was sent. If ``False``, nothing was sent; the caller then calls `record_success`.
        """
        return False

    def release_probe(self, permit: Permit, *, now: float | None = None) -> Transition | None:
        """Give up the probe (the call that tests the dependency) without a report. Another caller may claim it at once.

        A repetition changes nothing.

        Args:
            permit: The permit of the probe's owner.
            now: The moment that the snapshot gives as ``as_of``, Unix seconds. ``None`` means the store's clock.

        Returns:
            The transition, or ``None`` if the permit no longer owns the probe.

        Raises:
            InvalidStateError: The permit is not that of a probe.
        """
        return self._apply(commands.release_probe(permit, now))

    def renew_probe(
        self, permit: Permit, policy: BreakerPolicy = DEFAULT_POLICY, *, now: float | None = None
    ) -> Transition | None:
        """Let the owner keep the probe (the call that tests the dependency) until now + ``probe_lease`` or longer.

        A renewal never shortens the time. A repetition is safe.

        Args:
            permit: The permit of the probe's owner.
            policy: The policy whose ``probe_lease`` gives the time in seconds.
            now: The moment of the renewal, Unix seconds; ``None`` means the store's clock.

        Returns:
            The transition, or ``None`` if the probe has ended or another caller has claimed the probe.

        Raises:
            InvalidStateError: The permit is not that of a probe.
        """
        return self._apply(commands.renew_probe(permit, policy, now))

    def history(self, name: str) -> tuple[HistoryEntry, ...]:
        """Return a breaker's last changes, oldest first: changes of state, and overrides (settings of an operator).

        The history has about eight entries. It is empty if the breaker has no row, or if the store keeps no history.
        This method writes nothing.

        Args:
            name: The breaker's name.
        """
        return decode_history(self._history(validation.check_name("breaker name", name)))

    def check_writable(self) -> None:
        """Check that the store accepts writes, by a write that changes nothing.

        A store that can be read may refuse writes, for example a standby, a read-only file, or a Redis server that has
        lost its replicas. This check does not find a full disk, a locked row, or a commit that waits for a standby.
        Such a problem appears only with a write that changes something.

        Raises:
            StoreError: The store refuses writes or does not answer.
        """
        self._check_writable()

    def close(self) -> None:
        """Close the connections that the store opened. A client or an engine that the caller passed stays open."""

    def __enter__(self: StoreT) -> StoreT:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
