"""Tests of when a caller becomes the owner of the probe, and of what that changes."""

from __future__ import annotations

import pytest

from cbstore_sql.core import commands
from cbstore_sql.core.model import Row
from tests.core.rules.rows import CLEAN, DIRTY, ELAPSED, FREE, LAPSED, NOW, OPEN, POLICY, PROBING, Expected, check

CLAIMED = {"state": "half_open", "generation": 6, "probe_token": "me", "probe_until": 1030.0}


@pytest.mark.parametrize(
    ("row", "token", "expected"),
    [
        pytest.param(CLEAN, "me", None, id="closed and clean: nothing to probe"),
        pytest.param(DIRTY, "me", None, id="closed with failures: nothing to probe"),
        pytest.param(
            DIRTY._replace(probe_token="me", probe_until=2000.0),
            "me",
            None,
            id="closed with the caller's probe left over: nothing to probe",
        ),
        pytest.param(OPEN, "me", None, id="open and not elapsed: refused"),
        pytest.param(ELAPSED, "me", CLAIMED, id="open, elapsed to the instant: won"),
        pytest.param(OPEN._replace(open_until=999.0, success_count=1), "me", {**CLAIMED, "success_count": 0}, id="won"),
        pytest.param(PROBING, "me", None, id="half_open with a living owner: refused"),
        pytest.param(PROBING, "owner", {}, id="the owner again: the same answer, nothing new"),
        pytest.param(
            LAPSED,
            "me",
            {"generation": 7, "probe_token": "me", "probe_until": 1030.0},
            id="the lease has run out to the instant: taken over",
        ),
        pytest.param(
            LAPSED,
            "owner",
            {"generation": 7, "probe_until": 1030.0},
            id="the owner after its lease: a claim of its own",
        ),
        pytest.param(
            FREE,
            "me",
            {"generation": 7, "probe_token": "me", "probe_until": 1030.0},
            id="half_open with a free slot: won",
        ),
        pytest.param(
            FREE._replace(success_count=1),
            "me",
            {"generation": 7, "probe_token": "me", "probe_until": 1030.0},
            id="the next of several probes keeps the successes so far",
        ),
    ],
)
def test_claim_probe_gives_the_expected_row_for_each_state(row: Row, token: str, expected: Expected) -> None:
    check(row, commands.claim_probe("b", POLICY, token, NOW), expected)
