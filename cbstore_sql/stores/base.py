"""The contract of a store: what every backend promises, operation by operation.

One store holds the breakers of one namespace. Each operation is one atomic step on one breaker: of any number of
threads and processes that call at once, the outcome is as if they had called one after the other, and exactly one
of them sees each change of state. A breaker that was never written reads as closed and clean.

All moments are Unix seconds by the store's own clock unless the caller passes ``now``; all durations are seconds.

Every operation that takes a *target* takes a `Permit` or a name. Through a permit the report is fenced: it has an
effect only while the breaker is in the generation the permit was given in, and only from the probe's owner where a
probe is under way. By name it is unfenced and counts whatever happened in between.

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
from cbstore_sql.core.model import Permit, Snapshot, Transition
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.runtime.pickling import NotPicklable

StoreT = TypeVar("StoreT", bound="Store")

NOBODYS_PROBE = Permit("cbstore.check_writable", 0, "nobody")
"""A permit that the store never gave: releasing it is a write whose condition never holds."""


class Store(NotPicklable, ABC):
    """Shared breaker state, for synchronous callers; safe to use from many threads.

    A backend implements `_read`, `_apply` and `_delete`. One whose `_apply` decides before it writes also implements
    `_check_writable`.

    Args:
        namespace: Keeps the breakers of one application apart from another's in the same database.

    Raises:
        InvalidNameError: The namespace is too long, or has a NUL or a lone surrogate.
    """

    reads_locally = False
    """Whether reading is as near as a local view of what was read."""

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

        On SQL one statement reads them all; elsewhere each is read on its own.

        Args:
            names: The breakers' names; one that was never written is there as well.
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

        An open circuit whose time has elapsed becomes half_open; a half-open one whose slot is free or whose
        owner's lease has run out gets a new owner. Atomic: of any number of callers one wins, losers write nothing.

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
        now: float | None = None,
        rand: float | None = None,
    ) -> Transition | None:
        """Count failures: closed opens at the threshold, half_open opens at once.

        Not idempotent: after a lost reply, a repetition may count twice.

        Args:
            target: A permit (fenced) or a name (unfenced). Unfenced, a failure while the circuit is open counts
                and moves the deadline to at least now + ``recovery_timeout``.
            policy: Threshold, open time, backoff and jitter.
            failures: How many failures this report stands for; at least 1.
            now: Unix seconds; ``None`` means the store's clock.
            rand: The random number behind ``recovery_jitter``, from 0 to 1; ``None`` draws one.

        Returns:
            The transition, or ``None`` when the permit is stale and nothing was counted.
        """
        return self._apply(commands.record_failure(target, policy, failures, now, rand))

    def record_success(
        self,
        target: str | Permit,
        policy: BreakerPolicy = DEFAULT_POLICY,
        *,
        expected_state: str | None = None,
        now: float | None = None,
    ) -> Transition | None:
        """Clear the count of a closed circuit; close a half-open one, or bring it one probe nearer.

        An open circuit is left alone. A closed circuit without failures is not written at all. Idempotent.

        Args:
            target: A permit (fenced) or a name (unfenced).
            policy: Its ``success_threshold``.
            expected_state: Have an effect only in this state; ``None`` means any.
            now: Unix seconds; ``None`` means the store's clock. It only becomes the snapshot's ``as_of``.

        Returns:
            The transition, or ``None`` when there was nothing to do or the permit is stale.
        """
        return self._apply(commands.record_success(target, policy, expected_state, now))

    def release_probe(self, permit: Permit, *, now: float | None = None) -> Transition | None:
        """Give the probe back without a verdict: the slot is free at once. Idempotent.

        Args:
            permit: The owner's.
            now: Unix seconds; ``None`` means the store's clock. It only becomes the snapshot's ``as_of``.

        Returns:
            The transition, or ``None`` when the permit does not own the probe any more.

        Raises:
            InvalidStateError: The permit never owned a probe.
        """
        return self._apply(commands.release_probe(permit, now))

    def renew_probe(
        self, permit: Permit, policy: BreakerPolicy = DEFAULT_POLICY, *, now: float | None = None
    ) -> Transition | None:
        """Extend the owner's lease to at least now + ``probe_lease``; never shortens it. Idempotent.

        Args:
            permit: The owner's.
            policy: Its ``probe_lease``.
            now: Unix seconds; ``None`` means the store's clock.

        Returns:
            The transition, or ``None`` when the lease was lost to another caller or the probe is settled.

        Raises:
            InvalidStateError: The permit never owned a probe.
        """
        return self._apply(commands.renew_probe(permit, policy, now))

    def force_open(self, name: str, seconds: float, *, now: float | None = None) -> Transition:
        """Open the circuit until at least now + ``seconds``; never shortens an open time.

        Permits given before have no effect any more. Safe to repeat.

        Args:
            name: The breaker's name.
            seconds: 0 opens it for a probe at once.
            now: Unix seconds; ``None`` means the store's clock.
        """
        return self._always(commands.force_open(name, seconds, now))

    def reset(self, name: str, *, now: float | None = None) -> Transition:
        """Bring the breaker back to closed and clean. Permits given before have no effect any more. Safe to repeat.

        Args:
            name: The breaker's name.
            now: Unix seconds; ``None`` means the store's clock. It only becomes the snapshot's ``as_of``.
        """
        return self._always(commands.reset(name, now))

    def check_writable(self) -> None:
        """Have the store accept one write that changes nothing, and return if it did.

        A store that can be read may still refuse writes: a standby, a read-only file, a Redis without its replicas.
        A full disk, a locked row and a standby that a commit waits for show only with a write that changes something.

        Raises:
            StoreError: The store refuses writes or does not answer.
        """
        self._check_writable()

    def close(self) -> None:
        """Give back what the store opened itself (connections); what was handed to it stays open."""

    def __enter__(self: StoreT) -> StoreT:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _always(self, command: Command) -> Transition:
        transition = self._apply(command)
        if transition is None:
            raise AssertionError(f"{command.operation} has no condition")
        return transition

    def _read_many(self, names: list[str], now: float | None) -> dict[str, Snapshot]:
        """Return several breakers; a backend that can reads them in one round trip."""
        return {name: self._read(name, now) for name in names}

    def _check_writable(self) -> None:
        """See `check_writable`. By default: release a probe that nobody owns, which no breaker's state allows."""
        self._apply(commands.release_probe(NOBODYS_PROBE, None))

    @abstractmethod
    def _read(self, name: str, now: float | None) -> Snapshot:
        """Return one breaker; a missing one as ``Row()``."""

    @abstractmethod
    def _apply(self, command: Command) -> Transition | None:
        """Carry out one command in one atomic step; ``None`` when its condition does not hold."""

    @abstractmethod
    def _delete(self, name: str) -> None:
        """Forget one breaker."""
