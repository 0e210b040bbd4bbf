"""The truth tables of the state machine, written by hand: parity between backends cannot catch a wrong rule.

Each line is one state, one event and one condition, with everything the operation changes; what a line does not
name must stay as it was, and ``None`` means that nothing may happen.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from cbstore_sql import commands
from cbstore_sql.commands import Command
from cbstore_sql.machine import step
from cbstore_sql.model import Permit, Row
from cbstore_sql.policy import BreakerPolicy
from cbstore_sql.rules import OPERATIONS

NOW = 1000.0
POLICY = BreakerPolicy(failure_threshold=3, recovery_timeout=60.0, probe_lease=30.0)

CLEAN = Row()
DIRTY = Row(failure_count=2, last_failure_time=990.0, generation=4)
OPEN = Row("open", "closed", 5, 3, 0, 950.0, 1010.0, 60.0)
ELAPSED = replace(OPEN, open_until=1000.0)
PROBING = Row("half_open", "open", 6, 3, 0, 900.0, 960.0, 60.0, "owner", 1020.0)
LAPSED = replace(PROBING, probe_until=1000.0)
FREE = replace(PROBING, probe_token="", probe_until=0.0)

OWNER = Permit("b", 6, "owner")
EARLIER_OWNER = Permit("b", 5, "owner")
SAME_GENERATION_OTHER_TOKEN = Permit("b", 6, "other")
UNOWNED = Permit("b", 6)

Expected = dict[str, Any] | None


def check(row: Row, command: Command, expected: Expected) -> None:
    after = step(row, command, NOW)
    if expected is None:
        assert after is None
    else:
        assert after is not None
        before = {**asdict(row), "previous_state": row.state}
        changed = {column: value for column, value in asdict(after).items() if value != before[column]}
        assert changed == expected


CLAIMED = {"state": "half_open", "generation": 6, "probe_token": "me", "probe_until": 1030.0}


@pytest.mark.parametrize(
    ("row", "token", "expected"),
    [
        pytest.param(CLEAN, "me", None, id="closed and clean: nothing to probe"),
        pytest.param(DIRTY, "me", None, id="closed with failures: nothing to probe"),
        pytest.param(
            replace(DIRTY, probe_token="me", probe_until=2000.0),
            "me",
            None,
            id="closed with the caller's probe left over: nothing to probe",
        ),
        pytest.param(OPEN, "me", None, id="open and not elapsed: refused"),
        pytest.param(ELAPSED, "me", CLAIMED, id="open, elapsed to the instant: won"),
        pytest.param(replace(OPEN, open_until=999.0, success_count=1), "me", {**CLAIMED, "success_count": 0}, id="won"),
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
            replace(FREE, success_count=1),
            "me",
            {"generation": 7, "probe_token": "me", "probe_until": 1030.0},
            id="the next of several probes keeps the successes so far",
        ),
    ],
)
def test_claim_probe(row: Row, token: str, expected: Expected) -> None:
    check(row, commands.claim_probe("b", POLICY, token, NOW), expected)


COUNTED = {"failure_count": 3, "last_failure_time": NOW}
OPENED = {"state": "open", "open_until": 1060.0, "open_seconds": 60.0, "last_failure_time": NOW}
REOPENED = {
    "state": "open",
    "generation": 7,
    "failure_count": 4,
    "last_failure_time": NOW,
    "open_until": 1060.0,
    "probe_token": "",
    "probe_until": 0.0,
}


@pytest.mark.parametrize(
    ("row", "target", "expected"),
    [
        pytest.param(CLEAN, "b", {"failure_count": 1, "last_failure_time": NOW}, id="closed: the first is counted"),
        pytest.param(CLEAN, Permit("b", 0), {"failure_count": 1, "last_failure_time": NOW}, id="fenced as well"),
        pytest.param(
            replace(DIRTY, failure_count=1), "b", {"failure_count": 2, "last_failure_time": NOW}, id="one below"
        ),
        pytest.param(DIRTY, "b", {**OPENED, "generation": 5, "failure_count": 3}, id="closed: the threshold opens"),
        pytest.param(
            Row(probe_token="odd", probe_until=5.0),
            "b",
            {"failure_count": 1, "last_failure_time": NOW},
            id="closed with a probe left over: it is left there",
        ),
        pytest.param(
            DIRTY, Permit("b", 4), {**OPENED, "generation": 5, "failure_count": 3}, id="fenced at the threshold"
        ),
        pytest.param(DIRTY, Permit("b", 3), None, id="closed: a permit from before has no effect"),
        pytest.param(DIRTY, Permit("b", 5), None, id="closed: a permit from a later life has no effect"),
        pytest.param(
            DIRTY, Permit("b", 4, "owner"), None, id="closed: a settled owner of the same number has no effect"
        ),
        pytest.param(
            OPEN,
            "b",
            {"failure_count": 4, "last_failure_time": NOW, "open_until": 1060.0},
            id="open, unfenced: prolonged",
        ),
        pytest.param(
            replace(OPEN, open_until=2000.0),
            "b",
            {"failure_count": 4, "last_failure_time": NOW},
            id="open, unfenced: never shortened",
        ),
        pytest.param(OPEN, Permit("b", 5), None, id="open: a permit has no effect and does not prolong"),
        pytest.param(OPEN, Permit("b", 4), None, id="open: a permit from before has no effect"),
        pytest.param(PROBING, OWNER, REOPENED, id="half_open: the owner's failure re-opens"),
        pytest.param(LAPSED, OWNER, REOPENED, id="half_open: late, but nobody took over"),
        pytest.param(PROBING, "b", REOPENED, id="half_open, unfenced: re-opens"),
        pytest.param(FREE, "b", REOPENED | {}, id="half_open without a probe, unfenced: re-opens"),
        pytest.param(PROBING, EARLIER_OWNER, None, id="half_open: an earlier owner has no effect"),
        pytest.param(PROBING, SAME_GENERATION_OTHER_TOKEN, None, id="half_open: another life's owner has no effect"),
        pytest.param(PROBING, UNOWNED, None, id="half_open: no token, no effect"),
        pytest.param(FREE, UNOWNED, None, id="half_open with a free slot: nobody owns it"),
        pytest.param(
            replace(PROBING, success_count=1),
            OWNER,
            {**REOPENED, "success_count": 0},
            id="half_open: successes are lost",
        ),
    ],
)
def test_record_failure(row: Row, target: str | Permit, expected: Expected) -> None:
    if expected is not None and row is FREE:
        expected = {column: value for column, value in expected.items() if not column.startswith("probe_")}
    check(row, commands.record_failure(target, POLICY, 1, NOW, 0.0), expected)


def test_a_threshold_of_one_opens_at_the_first_failure() -> None:
    policy = BreakerPolicy(failure_threshold=1, recovery_timeout=60.0)
    check(CLEAN, commands.record_failure("b", policy, 1, NOW, 0.0), {**OPENED, "generation": 1, "failure_count": 1})


@pytest.mark.parametrize(("failures", "state"), [(1, "closed"), (2, "closed"), (3, "open"), (9, "open")])
def test_several_failures_in_one_report_trip_where_as_many_reports_would(failures: int, state: str) -> None:
    after = step(CLEAN, commands.record_failure("b", POLICY, failures, NOW, 0.0), NOW)
    assert after is not None
    assert (after.state, after.failure_count) == (state, failures)


def test_a_recovery_timeout_of_zero_lets_a_probe_in_at_once() -> None:
    policy = BreakerPolicy(failure_threshold=1, recovery_timeout=0.0)
    after = step(CLEAN, commands.record_failure("b", policy, 1, NOW, 0.0), NOW)
    assert after is not None
    assert step(after, commands.claim_probe("b", policy, "me", NOW), NOW) is not None


BACKOFF = BreakerPolicy(failure_threshold=3, recovery_timeout=60.0, backoff_multiplier=2.0, max_recovery_timeout=200.0)


@pytest.mark.parametrize(
    ("policy", "row", "seconds"),
    [
        pytest.param(BACKOFF, DIRTY, 60.0, id="the first open time is the plain one"),
        pytest.param(BACKOFF, PROBING, 120.0, id="a failed probe doubles it"),
        pytest.param(BACKOFF, replace(PROBING, open_seconds=120.0), 200.0, id="up to the cap"),
        pytest.param(BACKOFF, replace(PROBING, open_seconds=200.0), 200.0, id="and no further"),
        pytest.param(
            BACKOFF, replace(PROBING, open_seconds=0.0), 60.0, id="a forced circuit starts with the plain one"
        ),
        pytest.param(
            POLICY, replace(PROBING, open_seconds=120.0), 60.0, id="without backoff it is always the plain one"
        ),
    ],
)
def test_open_time_backoff(policy: BreakerPolicy, row: Row, seconds: float) -> None:
    after = step(row, commands.record_failure("b", policy, 1, NOW, 0.0), NOW)
    assert after is not None
    assert (after.open_seconds, after.open_until) == (seconds, NOW + seconds)


@pytest.mark.parametrize(("rand", "until"), [(0.0, 1060.0), (0.5, 1075.0), (1.0, 1090.0)])
def test_jitter_lengthens_the_open_time_but_not_what_backoff_builds_on(rand: float, until: float) -> None:
    policy = BreakerPolicy(failure_threshold=3, recovery_timeout=60.0, recovery_jitter=0.5)
    after = step(DIRTY, commands.record_failure("b", policy, 1, NOW, rand), NOW)
    assert after is not None
    assert (after.open_seconds, after.open_until) == (60.0, until)


CLOSED = {
    "state": "closed",
    "generation": 7,
    "failure_count": 0,
    "open_seconds": 0.0,
    "probe_token": "",
    "probe_until": 0.0,
}


@pytest.mark.parametrize(
    ("row", "target", "expected"),
    [
        pytest.param(CLEAN, "b", None, id="closed and clean: nothing to write"),
        pytest.param(CLEAN, Permit("b", 0), None, id="fenced as well"),
        pytest.param(DIRTY, "b", {"failure_count": 0}, id="closed with failures: cleaned"),
        pytest.param(DIRTY, Permit("b", 4), {"failure_count": 0}, id="fenced as well: cleaned"),
        pytest.param(DIRTY, Permit("b", 3), None, id="closed: a permit from before cleans nothing"),
        pytest.param(
            replace(DIRTY, failure_count=0, probe_token="odd", probe_until=5.0),
            "b",
            {"probe_token": "", "probe_until": 0.0},
            id="closed with a probe left over: cleaned",
        ),
        pytest.param(OPEN, "b", None, id="open: a success does not close it"),
        pytest.param(ELAPSED, "b", None, id="open and elapsed: nor then"),
        pytest.param(OPEN, Permit("b", 5), None, id="open, fenced: nor then"),
        pytest.param(PROBING, OWNER, CLOSED, id="half_open: the owner's success closes"),
        pytest.param(LAPSED, OWNER, CLOSED, id="half_open: late, but nobody took over"),
        pytest.param(PROBING, "b", CLOSED, id="half_open, unfenced: closes"),
        pytest.param(PROBING, EARLIER_OWNER, None, id="half_open: an earlier owner has no effect"),
        pytest.param(PROBING, SAME_GENERATION_OTHER_TOKEN, None, id="half_open: another life's owner has no effect"),
        pytest.param(PROBING, UNOWNED, None, id="half_open: no token, no effect"),
        pytest.param(FREE, UNOWNED, None, id="half_open with a free slot: nobody owns it"),
    ],
)
def test_record_success(row: Row, target: str | Permit, expected: Expected) -> None:
    check(row, commands.record_success(target, POLICY, None, NOW), expected)


def test_one_success_cleans_a_closed_circuit_however_many_probes_a_half_open_one_needs() -> None:
    check(DIRTY, commands.record_success("b", BreakerPolicy(success_threshold=2), None, NOW), {"failure_count": 0})


def test_several_probes_close_the_circuit_where_the_policy_asks_for_several() -> None:
    policy = BreakerPolicy(success_threshold=2)
    nearer = {"generation": 7, "success_count": 1, "probe_token": "", "probe_until": 0.0}
    check(PROBING, commands.record_success(OWNER, policy, None, NOW), nearer)
    once = replace(PROBING, success_count=1)
    check(once, commands.record_success(OWNER, policy, None, NOW), {**CLOSED, "success_count": 0})


@pytest.mark.parametrize(
    ("row", "expected_state", "effect"),
    [
        (DIRTY, "closed", True),
        (DIRTY, "open", False),
        (DIRTY, "half_open", False),
        (OPEN, "open", False),
        (OPEN, "closed", False),
        (PROBING, "half_open", True),
        (PROBING, "closed", False),
        (PROBING, "open", False),
    ],
)
def test_record_success_in_an_expected_state(row: Row, expected_state: str, effect: bool) -> None:
    after = step(row, commands.record_success("b", POLICY, expected_state, NOW), NOW)
    assert (after is not None) is effect


@pytest.mark.parametrize(
    ("row", "permit", "expected"),
    [
        pytest.param(
            PROBING, OWNER, {"generation": 7, "probe_token": "", "probe_until": 0.0}, id="the owner: free, no verdict"
        ),
        pytest.param(
            LAPSED, OWNER, {"generation": 7, "probe_token": "", "probe_until": 0.0}, id="late but not taken over"
        ),
        pytest.param(PROBING, EARLIER_OWNER, None, id="an earlier owner: no effect"),
        pytest.param(PROBING, SAME_GENERATION_OTHER_TOKEN, None, id="another life's owner: no effect"),
        pytest.param(FREE, OWNER, None, id="released before: no effect"),
        pytest.param(replace(OPEN, generation=6), OWNER, None, id="open: no effect"),
        pytest.param(replace(DIRTY, generation=6), OWNER, None, id="closed: no effect"),
        pytest.param(
            replace(DIRTY, generation=6, probe_token="owner"),
            OWNER,
            None,
            id="closed with its token left over: no effect",
        ),
    ],
)
def test_release_probe(row: Row, permit: Permit, expected: Expected) -> None:
    check(row, commands.release_probe(permit, NOW), expected)


@pytest.mark.parametrize(
    ("row", "permit", "expected"),
    [
        pytest.param(PROBING, OWNER, {"probe_until": 1030.0}, id="the owner: a full lease from now"),
        pytest.param(replace(PROBING, probe_until=1040.0), OWNER, {}, id="never shortened"),
        pytest.param(LAPSED, OWNER, {"probe_until": 1030.0}, id="run out but not taken over: still the owner's"),
        pytest.param(PROBING, EARLIER_OWNER, None, id="an earlier owner: lost"),
        pytest.param(PROBING, SAME_GENERATION_OTHER_TOKEN, None, id="another life's owner: lost"),
        pytest.param(FREE, OWNER, None, id="released before: lost"),
        pytest.param(replace(OPEN, generation=6), OWNER, None, id="open: lost"),
        pytest.param(replace(DIRTY, generation=6, probe_token="owner"), OWNER, None, id="closed: lost"),
    ],
)
def test_renew_probe(row: Row, permit: Permit, expected: Expected) -> None:
    check(row, commands.renew_probe(permit, POLICY, NOW), expected)


FORCED = {"state": "open", "last_failure_time": NOW, "open_until": 1120.0}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(CLEAN, {**FORCED, "generation": 1}, id="closed and clean"),
        pytest.param(DIRTY, {**FORCED, "generation": 5}, id="closed with failures: they are kept"),
        pytest.param(OPEN, {"generation": 6, "last_failure_time": NOW, "open_until": 1120.0}, id="open: prolonged"),
        pytest.param(
            replace(OPEN, open_until=5000.0, last_failure_time=1001.0),
            {"generation": 6},
            id="open for longer: never less",
        ),
        pytest.param(
            replace(PROBING, success_count=1),
            {**FORCED, "generation": 7, "success_count": 0, "probe_token": "", "probe_until": 0.0},
            id="half_open: the probe is fenced off",
        ),
    ],
)
def test_force_open(row: Row, expected: Expected) -> None:
    check(row, commands.force_open("b", 120.0, NOW), expected)


@pytest.mark.parametrize("row", [CLEAN, DIRTY, OPEN, ELAPSED, PROBING, LAPSED, replace(FREE, success_count=1)])
def test_reset_leaves_only_a_new_generation(row: Row) -> None:
    after = step(row, commands.reset("b", NOW), NOW)
    assert after == Row(previous_state=row.state, generation=row.generation + 1)


@pytest.mark.parametrize("row", [CLEAN, DIRTY, OPEN, PROBING])
def test_replace_state_overwrites_all_five_fields_and_fences(row: Row) -> None:
    whole = {
        "state": "half_open",
        "failure_count": 9,
        "last_failure_time": 7.5,
        "open_until": 8.5,
        "half_open_probe_active": True,
    }
    after = step(row, commands.replace_state("b", whole, 30.0, None), NOW)
    assert after is not None
    assert after.probe_token not in ("", "owner")
    assert after == Row(
        "half_open", row.state, row.generation + 1, 9, 0, 7.5, 8.5, row.open_seconds, after.probe_token, NOW + 30.0
    )


@pytest.mark.parametrize(
    ("row", "updates", "expected"),
    [
        (PROBING, {}, {"generation": 7}),
        (PROBING, {"failure_count": 0}, {"generation": 7, "failure_count": 0}),
        (PROBING, {"last_failure_time": 0.0}, {"generation": 7, "last_failure_time": 0.0}),
        (PROBING, {"open_until": 0.0}, {"generation": 7, "open_until": 0.0}),
        (PROBING, {"half_open_probe_active": False}, {"generation": 7, "probe_token": "", "probe_until": 0.0}),
        (PROBING, {"state": "open"}, {"generation": 7, "state": "open"}),
        (PROBING, {"state": "closed"}, {"generation": 7, "state": "closed", "open_seconds": 0.0}),
        (replace(PROBING, success_count=1), {}, {"generation": 7, "success_count": 0}),
    ],
)
def test_replace_state_keeps_what_is_not_named(row: Row, updates: dict[str, Any], expected: Expected) -> None:
    check(row, commands.replace_state("b", updates, 30.0, "half_open"), expected)


@pytest.mark.parametrize("row", [CLEAN, OPEN, PROBING])
@pytest.mark.parametrize("expected_state", ["closed", "open", "half_open"])
def test_replace_state_has_an_effect_only_in_the_expected_state(row: Row, expected_state: str) -> None:
    after = step(row, commands.replace_state("b", {"failure_count": 8}, 30.0, expected_state), NOW)
    assert (after is not None) is (row.state == expected_state)


@pytest.mark.parametrize("row", [CLEAN, DIRTY, OPEN, PROBING])
def test_increment_failure_counts_and_leaves_the_rest(row: Row) -> None:
    check(row, commands.increment_failure("b"), {"failure_count": row.failure_count + 1})


@pytest.mark.parametrize(
    "command",
    [
        commands.claim_probe("b", POLICY, "me", NOW),
        commands.record_success("b", POLICY, None, NOW),
        commands.record_success(UNOWNED, POLICY, None, NOW),
        commands.release_probe(Permit("b", 0, "me"), NOW),
        commands.renew_probe(Permit("b", 0, "me"), POLICY, NOW),
    ],
    ids=lambda command: command.operation,
)
def test_what_creates_no_breaker_has_no_effect_on_one_never_written(command: Command) -> None:
    assert not OPERATIONS[command.operation].creates
    check(CLEAN, command, None)


def test_the_default_policy_is_five_failures_sixty_seconds_one_success() -> None:
    policy = BreakerPolicy()
    row: Row | None = Row()
    for _ in range(4):
        row = step(row or Row(), commands.record_failure("b", policy, 1, NOW, None), NOW)
    assert row is not None
    assert row.state == "closed"
    row = step(row, commands.record_failure("b", policy, 1, NOW, None), NOW)
    assert row is not None
    assert (row.state, row.open_until) == ("open", NOW + 60.0)
    row = step(row, commands.claim_probe("b", policy, "me", NOW + 60.0), NOW)
    assert row is not None
    row = step(row, commands.record_success(Permit("b", row.generation, "me"), policy, None, NOW), NOW)
    assert row is not None
    assert row.state == "closed"
