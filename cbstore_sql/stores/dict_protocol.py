"""The dictionary protocol: eight methods over one breaker, for code written for ``CircuitBreakerStore``.

Written once over the store's operations and inherited by every store. A report made here carries no permit, so it is
unfenced. A probe shows as active only while its lease lasts.

Each method is linearizable: its answer is one that a single atomic step could have given. A method that changes nothing
returns a state in which it changes nothing; if the breaker has changed in between, the method starts again.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from cbstore_sql.core import commands, validation
from cbstore_sql.core.admission import effective_state
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import STATES, Snapshot, State, Transition
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.core.validation import check_seconds
from cbstore_sql.errors import StoreConflictError
from cbstore_sql.stores.base import Store

DEFAULT_CIRCUIT_BREAKER_STATE: dict[str, Any] = {
    "state": "closed",
    "failure_count": 0,
    "last_failure_time": 0.0,
    "open_until": 0.0,
    "half_open_probe_active": False,
}
"""A breaker that has no row, as the protocol shows it. Times are Unix seconds."""

DEFAULT_PROBE_LEASE = 600.0
"""Seconds for which a probe claimed through the protocol is held: the default request timeout of common LLM clients."""

_ATTEMPTS = 100


@runtime_checkable
class CircuitBreakerStore(Protocol):
    """The methods that code written for the dictionary protocol calls.

    Every method is atomic. States are dictionaries with the five keys of `DEFAULT_CIRCUIT_BREAKER_STATE`; the
    ``atomic_record_*`` methods add ``_prev_state`` (text) and ``_prev_was_half_open`` (bool), the state the same
    step found.
    """

    def get_state(self, backend: str) -> dict[str, Any]:
        """Return the breaker as callers see it; one that has no row as the default."""

    def set_state(self, backend: str, state: dict[str, Any]) -> None:
        """Overwrite the whole breaker; see `ProtocolStore.set_state`."""

    def cas_state(self, backend: str, expected_state: str, updates: dict[str, Any]) -> bool:
        """Overwrite some keys if the state is the expected one; see `ProtocolStore.cas_state`."""

    def increment_failure(self, backend: str) -> int:
        """Count one failure, change nothing else, and return the new count."""

    def atomic_record_failure(self, backend: str, failure_threshold: int, recovery_timeout: float) -> dict[str, Any]:
        """Count a failure and open the circuit if it is due; see `ProtocolStore.atomic_record_failure`."""

    def atomic_record_success(self, backend: str, expected_state: str | None = None) -> dict[str, Any]:
        """Clear the count or close a half-open circuit; see `ProtocolStore.atomic_record_success`."""

    def try_transition_and_claim_probe(
        self, backend: str, now: float, recovery_timeout: float
    ) -> tuple[bool, dict[str, Any], str | None]:
        """Claim the probe of an elapsed or half-open circuit; see `ProtocolStore.try_transition_and_claim_probe`.

        Returns:
            Whether the claim was won, the state, and ``"open->half_open"``, ``"half_open_probe_claimed"`` or ``None``.
        """

    def clear(self, backend: str) -> None:
        """Delete the breaker."""


class ProtocolStore(Store):
    """A store that also offers the dictionary protocol.

    Args:
        namespace: See `Store`.
        protocol_probe_lease: Seconds for which a probe claimed through the protocol is held before another caller may
            claim it; at least 0.001. The protocol can neither renew nor release a probe.

    Raises:
        InvalidNameError: See `Store`.
        InvalidPolicyError: The lease is out of range.
    """

    def __init__(self, namespace: str = "default", *, protocol_probe_lease: float = DEFAULT_PROBE_LEASE) -> None:
        super().__init__(namespace)
        self._lease = check_seconds("protocol_probe_lease", protocol_probe_lease, minimum=0.001)

    def get_state(self, backend: str) -> dict[str, Any]:
        """Return the breaker as callers see it; one that has no row as `DEFAULT_CIRCUIT_BREAKER_STATE`.

        An override or a hold shows as the state that has the same effect: locked or held reads as open, ``closed`` and
        ``shadow`` read as closed. The other methods work on the state underneath.

        Args:
            backend: The breaker's name.
        """
        snapshot = self.read(backend)
        state, open_until = effective_state(snapshot)
        return _as_dict(snapshot._replace(state=state, open_until=open_until))

    def set_state(self, backend: str, state: dict[str, Any]) -> None:
        """Overwrite the whole breaker; missing keys get their default, unknown keys are ignored.

        Args:
            backend: The breaker's name.
            state: The five keys of `DEFAULT_CIRCUIT_BREAKER_STATE`, or some of them.

        Raises:
            InvalidStateError: A value is not a state, count or time; nothing was written.
        """
        complete = {**DEFAULT_CIRCUIT_BREAKER_STATE, **state}
        self._always(commands.replace_state(backend, complete, self._lease, None))

    def cas_state(self, backend: str, expected_state: str, updates: dict[str, Any]) -> bool:
        """Overwrite the given keys if the breaker is in ``expected_state``.

        A breaker that has no row is closed.

        Args:
            backend: The breaker's name.
            expected_state: The state in which the breaker must be. An unknown state never matches.
            updates: Some of the five keys of `DEFAULT_CIRCUIT_BREAKER_STATE`, with their new values.

        Returns:
            Whether the breaker was in that state and the updates were made.

        Raises:
            InvalidStateError: An updated value is not a state, count or time; nothing was written.
        """
        known = expected_state in STATES
        command = commands.replace_state(backend, updates, self._lease, expected_state if known else None)
        return known and self._apply(command) is not None

    def increment_failure(self, backend: str) -> int:
        """Count one failure, change nothing else, and return the new count."""
        return self._always(commands.increment_failure(backend)).snapshot.failure_count

    def atomic_record_failure(self, backend: str, failure_threshold: int, recovery_timeout: float) -> dict[str, Any]:
        """Count a failure, unfenced; see `Store.record_failure`.

        Args:
            backend: The breaker's name.
            failure_threshold: Failures in a row that open a closed circuit; at least 1.
            recovery_timeout: Seconds the circuit stays open; 0 means a probe may be claimed at once.

        Raises:
            InvalidPolicyError: One of the two is out of range; nothing was written.
        """
        policy = BreakerPolicy(failure_threshold=failure_threshold, recovery_timeout=recovery_timeout)
        transition = self._always(commands.record_failure(backend, policy, 1, None, 0.0))
        return _with_previous(transition)

    def atomic_record_success(self, backend: str, expected_state: str | None = None) -> dict[str, Any]:
        """Record a success, unfenced; see `Store.record_success`.

        Where it changes nothing (a clean or an open circuit), it only reads.

        Args:
            backend: The breaker's name.
            expected_state: Have an effect only in this state; ``None`` means any but open.

        Raises:
            StoreConflictError: The breaker changed before each of the attempts; nothing was written.
        """
        known = expected_state is None or expected_state in STATES
        command = commands.record_success(backend, DEFAULT_POLICY, expected_state if known else None, None)
        for _ in range(_ATTEMPTS):
            snapshot = self.read(backend)
            if not (known and _has_effect(command, snapshot)):
                return _with_previous(Transition(snapshot.state, snapshot))
            transition = self._apply(command)
            if transition is not None:
                return _with_previous(transition)
        raise _conflict(command)

    def try_transition_and_claim_probe(
        self, backend: str, now: float, recovery_timeout: float
    ) -> tuple[bool, dict[str, Any], str | None]:
        """Claim the probe; see `Store.claim_probe`.

        Args:
            backend: The breaker's name.
            now: Unix seconds; the open deadline and the lease are both compared with it.
            recovery_timeout: Not used; the protocol reserves it.

        Returns:
            Whether the claim was won, the state, and ``"open->half_open"``, ``"half_open_probe_claimed"`` or ``None``.

        Raises:
            InvalidStateError: ``now`` is out of range.
            StoreConflictError: The breaker changed after each of the attempts; nothing was written.
        """
        command = commands.claim_probe(backend, BreakerPolicy(probe_lease=self._lease), None, now)
        for _ in range(_ATTEMPTS):
            transition = self._apply(command)
            if transition is not None:
                label = "open->half_open" if transition.changed else "half_open_probe_claimed"
                return True, _as_dict(transition.snapshot), label
            snapshot = self.read(backend, now=now)
            if not _has_effect(command, snapshot):
                return False, _as_dict(snapshot), None
        raise _conflict(command)

    def clear(self, backend: str) -> None:
        """Delete the breaker: it reads as closed and clean."""
        self._delete(validation.check_name("breaker name", backend))


def _has_effect(command: Command, snapshot: Snapshot) -> bool:
    """Whether the command would change the breaker as it was read."""
    return command.apply_to(snapshot._to_row(), snapshot.as_of) is not None


def _conflict(command: Command) -> StoreConflictError:
    return StoreConflictError(f"{command.operation} of {command.name!r} was contended {_ATTEMPTS} times")


def _as_dict(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "state": snapshot.state.value,
        "failure_count": snapshot.failure_count,
        "last_failure_time": snapshot.last_failure_time,
        "open_until": snapshot.open_until,
        "half_open_probe_active": snapshot.probe_active,
    }


def _with_previous(transition: Transition) -> dict[str, Any]:
    previous = transition.previous_state
    return {
        **_as_dict(transition.snapshot),
        "_prev_state": previous.value,
        "_prev_was_half_open": previous is State.HALF_OPEN,
    }
