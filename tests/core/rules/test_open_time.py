"""Tests of the open time of a circuit."""

from __future__ import annotations

import pytest

from cbstore_sql.core import commands
from cbstore_sql.core.model import Row
from cbstore_sql.core.policy import BreakerPolicy
from tests.core.rules.rows import CLEAN, DIRTY, NOW, POLICY, PROBING


def test_a_recovery_timeout_of_zero_admits_a_probe_at_once() -> None:
    policy = BreakerPolicy(failure_threshold=1, recovery_timeout=0.0)
    after = commands.record_failure("b", policy, 1, NOW, 0.0).apply_to(CLEAN, NOW)
    assert after is not None
    assert commands.claim_probe("b", policy, "me", NOW).apply_to(after, NOW) is not None


BACKOFF = BreakerPolicy(failure_threshold=3, recovery_timeout=60.0, backoff_multiplier=2.0, max_recovery_timeout=200.0)


@pytest.mark.parametrize(
    ("policy", "row", "seconds"),
    [
        pytest.param(BACKOFF, DIRTY, 60.0, id="the first open time is the plain one"),
        pytest.param(BACKOFF, PROBING, 120.0, id="a failed probe doubles it"),
        pytest.param(BACKOFF, PROBING._replace(open_seconds=120.0), 200.0, id="up to the cap"),
        pytest.param(BACKOFF, PROBING._replace(open_seconds=200.0), 200.0, id="and no further"),
        pytest.param(
            BACKOFF, PROBING._replace(open_seconds=0.0), 60.0, id="a forced circuit starts with the plain one"
        ),
        pytest.param(
            POLICY, PROBING._replace(open_seconds=120.0), 60.0, id="without backoff it is always the plain one"
        ),
    ],
)
def test_the_open_time_grows_by_the_backoff_up_to_its_cap(policy: BreakerPolicy, row: Row, seconds: float) -> None:
    after = commands.record_failure("b", policy, 1, NOW, 0.0).apply_to(row, NOW)
    assert after is not None
    assert (after.open_seconds, after.open_until) == (seconds, NOW + seconds)


@pytest.mark.parametrize(("rand", "until"), [(0.0, 1060.0), (0.5, 1075.0), (1.0, 1090.0)])
def test_jitter_lengthens_the_open_time_but_not_the_base_of_the_backoff(rand: float, until: float) -> None:
    policy = BreakerPolicy(failure_threshold=3, recovery_timeout=60.0, recovery_jitter=0.5)
    after = commands.record_failure("b", policy, 1, NOW, rand).apply_to(DIRTY, NOW)
    assert after is not None
    assert (after.open_seconds, after.open_until) == (60.0, until)
