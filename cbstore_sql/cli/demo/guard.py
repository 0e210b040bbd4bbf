"""A guarded call over a store: admit, then report with the permit that admission gave."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.model import Permit, State, Transition
from cbstore_sql.policy import BreakerPolicy
from cbstore_sql.store import Store


class GuardedCalls:
    """Asks a store's breakers for one caller.

    Args:
        store: Where the breakers are.
        policy: The numbers they are run by.
        caller: What a person reads in the table while this caller holds the probe.
        heard: Told each change of a breaker that this caller made, once its statement is answered.
    """

    def __init__(self, store: Store, policy: BreakerPolicy, caller: str, heard: Callable[[Transition], None]) -> None:
        self._store = store
        self._policy = policy
        self._caller = caller
        self._heard = heard

    def admit(self, name: str) -> Permit:
        """Return the permit for one call.

        Raises:
            CircuitBreakerOpenError: The circuit is open, or another caller holds the probe.
        """
        snapshot = self._store.read(name)
        if snapshot.state is State.CLOSED:
            return snapshot.permit
        claimed = self._claim(name) if snapshot.probe_claimable else None
        if claimed is None:
            raise CircuitBreakerOpenError(name=name, state=snapshot.state.value, retry_after=snapshot.retry_after)
        self._heard(claimed)
        return claimed.permit

    def success(self, permit: Permit) -> None:
        """Report that the call went well."""
        self._settled(self._store.record_success(permit, self._policy))

    def failure(self, permit: Permit, error: Exception) -> None:
        """Report that the call failed; every error counts."""
        self._settled(self._store.record_failure(permit, self._policy))

    def _claim(self, name: str) -> Transition | None:
        return self._store.claim_probe(name, self._policy, token=f"{self._caller}/{secrets.token_hex(8)}")

    def _settled(self, transition: Transition | None) -> None:
        if transition is not None and transition.changed:
            self._heard(transition)
