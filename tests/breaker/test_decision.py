"""Tests of the quick decision: which calls through a closed circuit need no further decision."""

from __future__ import annotations

import pytest

from cbstore_sql import BreakerPolicy
from cbstore_sql.breaker.decision import needs_decision
from cbstore_sql.core.admission import Action, admission
from cbstore_sql.core.model import Row, Snapshot
from cbstore_sql.core.policy import DEFAULT_POLICY

NOW = 1000.0
CLOSED = Snapshot.of("b", Row(generation=4), NOW)


@pytest.mark.parametrize("override", ["", "open", "closed", "shadow"])
@pytest.mark.parametrize("override_until", [0.0, NOW - 1.0, NOW + 1.0])
@pytest.mark.parametrize("hold_until", [0.0, NOW, NOW + 5.0])
def test_a_call_that_needs_no_decision_is_admitted_by_the_rules(
    override: str, override_until: float, hold_until: float
) -> None:
    snapshot = CLOSED._replace(override=override, override_until=override_until, hold_until=hold_until)
    decided = admission(snapshot)
    refused = decided.action is not Action.ADMIT or decided.would_refuse
    assert needs_decision(snapshot, DEFAULT_POLICY) is (refused or hold_until > NOW)


@pytest.mark.parametrize(
    ("policy", "closed_at", "needed"),
    [
        (DEFAULT_POLICY, NOW - 1.0, False),
        (BreakerPolicy(ramp_up=10.0), NOW - 1.0, True),
        (BreakerPolicy(ramp_up=10.0), NOW - 11.0, False),
        (BreakerPolicy(slow_after=1.0), 0.0, True),
    ],
)
def test_a_ramp_and_a_measured_call_need_the_decision(policy: BreakerPolicy, closed_at: float, needed: bool) -> None:
    assert needs_decision(CLOSED._replace(closed_at=closed_at), policy) is needed
