"""Every backend gives the results of the rules: random sequences of operations are compared with the rules."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from cbstore_sql import BreakerPolicy, FailureRate, Permit, Snapshot, Transition, UnknownBreakerError
from cbstore_sql.core import commands
from cbstore_sql.core.commands import Command
from cbstore_sql.core.history import decode_history
from cbstore_sql.core.model import OVERRIDES, STATES, OverrideMode, Row
from cbstore_sql.stores.dict_protocol import ProtocolStore
from tests.stores.contract.backends import ASYNC, Backend

seconds = st.sampled_from([0.0, 0.001, 1.0, 7.3, 60.0, 1e9])
leases = st.sampled_from([0.001, 1.0, 7.3, 30.0])
trip_rules: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(dict, failure_threshold=st.integers(1, 3)),
    st.builds(dict, trip=st.sampled_from([FailureRate(0.1, 0.5, 100.0), FailureRate(0.3, 0.6, 1e4)])),
)
policies = st.builds(
    lambda trip_rule, **others: BreakerPolicy(**trip_rule, **others),
    trip_rules,
    recovery_timeout=st.sampled_from([0.0, 0.1, 10.0, 60.0]),
    success_threshold=st.integers(1, 3),
    probe_lease=leases,
    backoff_multiplier=st.sampled_from([1.0, 1.7, 2.0]),
    max_recovery_timeout=st.sampled_from([None, 100.0]),
    recovery_jitter=st.sampled_from([0.0, 0.3, 1.0]),
)
names = st.sampled_from(["one", "zwei"])
tokens = st.sampled_from(["ada", "bob", "zoë"])
rands = st.floats(0.0, 1.0)
moments = st.floats(0.0, 2e9)
updates = st.fixed_dictionaries(
    {},
    optional={
        "state": st.sampled_from(STATES),
        "failure_count": st.integers(0, 4),
        "last_failure_time": moments,
        "open_until": moments,
        "half_open_probe_active": st.booleans(),
    },
)


class StoreMachine(RuleBasedStateMachine):
    """A store, and the rows that it should contain."""

    permits = Bundle("permits")

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self.store: ProtocolStore = backend.open()
        self.rows: dict[str, Row] = {}
        self.now = 1.6e9

    def teardown(self) -> None:
        self.store.close()

    @initialize(target=permits)
    def first_permits(self) -> Any:
        return multiple(Permit("one", 0), Permit("zwei", 0, "ada"))

    @rule(change=st.floats(-30.0, 120.0))
    def time_passes_or_steps_back(self, change: float) -> None:
        self.now = max(0.0, self.now + change)

    @rule(name=names)
    def time_reaches_a_deadline(self, name: str) -> None:
        row = self.rows.get(name, Row())
        self.now = row.probe_until or row.open_until or self.now

    @rule(target=permits, name=names)
    def admit(self, name: str) -> Permit:
        return self.store.read(name, now=self.now).permit

    @rule(target=permits, name=names, policy=policies, token=tokens)
    def claim_probe(self, name: str, policy: BreakerPolicy, token: str) -> Any:
        command = commands.claim_probe(name, policy, token, self.now)
        claim = self.agree(command, self.store.claim_probe(name, policy, token=token, now=self.now))
        return multiple() if claim is None else claim.permit

    @rule(
        whom=st.one_of(names, permits),
        policy=policies,
        failures=st.integers(1, 3),
        successes=st.integers(0, 3),
        rand=rands,
    )
    def record_failure(
        self, whom: str | Permit, policy: BreakerPolicy, failures: int, successes: int, rand: float
    ) -> None:
        command = commands.record_failure(whom, policy, failures, self.now, rand, successes=successes)
        done = self.store.record_failure(whom, policy, failures=failures, successes=successes, now=self.now, rand=rand)
        self.agree(command, done)

    @rule(whom=st.one_of(names, permits), policy=policies, evidence=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    def record_weighed_failure(self, whom: str | Permit, policy: BreakerPolicy, evidence: float) -> None:
        if policy.trip is not None:
            command = commands.record_failure(whom, policy, 1, self.now, 0.0, evidence=evidence)
            done = self.store.record_failure(whom, policy, evidence=evidence, now=self.now, rand=0.0)
            self.agree(command, done)

    @rule(
        whom=st.one_of(names, permits),
        policy=policies,
        successes=st.integers(1, 3),
        expected=st.sampled_from([None, *STATES]),
    )
    def record_success(self, whom: str | Permit, policy: BreakerPolicy, successes: int, expected: str | None) -> None:
        command = commands.record_success(whom, policy, expected, self.now, successes=successes)
        done = self.store.record_success(whom, policy, successes=successes, expected_state=expected, now=self.now)
        self.agree(command, done)

    @rule(permit=permits.filter(lambda permit: permit.is_probe))
    def release_probe(self, permit: Permit) -> None:
        self.agree(commands.release_probe(permit, self.now), self.store.release_probe(permit, now=self.now))

    @rule(permit=permits.filter(lambda permit: permit.is_probe), policy=policies)
    def renew_probe(self, permit: Permit, policy: BreakerPolicy) -> None:
        command = commands.renew_probe(permit, policy, self.now)
        self.agree(command, self.store.renew_probe(permit, policy, now=self.now))

    @rule(name=names, length=seconds)
    def force_open(self, name: str, length: float) -> None:
        self.agree(commands.force_open(name, length, self.now), self.store.force_open(name, length, now=self.now))

    @rule(name=names)
    def reset(self, name: str) -> None:
        self.agree(commands.reset(name, self.now), self.store.reset(name, now=self.now))

    @rule(name=names, length=seconds)
    def hold(self, name: str, length: float) -> None:
        self.agree(commands.hold(name, length, self.now), self.store.hold(name, length, now=self.now))

    @rule(
        name=names,
        mode=st.sampled_from(OVERRIDES),
        length=st.sampled_from([None, 0.001, 60.0]),
        actor=st.sampled_from(["ann", "bösé;", "a" * 80]),
    )
    def set_override(self, name: str, mode: OverrideMode, length: float | None, actor: str) -> None:
        command = commands.set_override(name, mode, actor, "deploy ☂", seconds=length, create=True, now=self.now)
        done = self.store.set_override(
            name, mode, by=actor, reason="deploy ☂", seconds=length, create=True, now=self.now
        )
        self.agree(command, done)

    @rule(name=names)
    def clear_override(self, name: str) -> None:
        command = commands.clear_override(name, "ann", self.now)
        if name in self.rows:
            self.agree(command, self.store.clear_override(name, by="ann", now=self.now))
        else:
            with pytest.raises(UnknownBreakerError):
                self.store.clear_override(name, by="ann", now=self.now)

    @rule(name=names, changes=updates, lease=leases, expected=st.sampled_from([None, *STATES]))
    def replace_state(self, name: str, changes: dict[str, Any], lease: float, expected: str | None) -> None:
        command = commands.replace_state(name, changes, lease, expected)
        command = command._replace(parameters={**command.parameters, "now": self.now})
        self.agree(command, self.store._apply(command))

    @rule(name=names)
    def increment_failure(self, name: str) -> None:
        command = commands.increment_failure(name)._replace(parameters={"now": self.now})
        self.agree(command, self.store._apply(command))

    @rule(name=names)
    def clear(self, name: str) -> None:
        self.store.clear(name)
        self.rows.pop(name, None)

    def agree(self, command: Command, answer: Transition | None) -> Transition | None:
        """Check that the store's answer and its rows match the rules."""
        row = command.apply_to(self.rows.get(command.name, Row()), self.now)
        if row is None:
            assert answer is None
        else:
            self.rows[command.name] = row
            assert answer == Transition.of(command.name, row, self.now)
        return answer

    @invariant()
    def what_is_read_is_what_the_rules_left(self) -> None:
        for name in ("one", "zwei"):
            snapshot = self.store.read(name, now=self.now)
            assert snapshot == Snapshot.of(name, self.rows.get(name, Row()), self.now)
            assert self.store.history(name) == decode_history(self.rows.get(name, Row()).history)
            assert (snapshot.probe_token == "") == (snapshot.probe_until == 0.0)


def test_every_backend_follows_the_rules(backend: Backend) -> None:
    machine = cast("type[RuleBasedStateMachine]", partial(StoreMachine, backend))
    # An asynchronous store differs only in its access to the server.
    examples = settings().max_examples // (4 if backend.name.startswith(ASYNC) else 1)
    run_state_machine_as_test(machine, settings=settings(stateful_step_count=30, max_examples=examples))
