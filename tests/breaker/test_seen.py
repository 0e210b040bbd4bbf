"""Tests of one entry of the view."""

from __future__ import annotations

import pytest

from cbstore_sql import BreakerPolicy, FailureRate, State
from cbstore_sql.breaker import seen as module
from cbstore_sql.breaker.seen import Seen
from cbstore_sql.breaker.unreported import UnreportedSuccesses
from cbstore_sql.core.model import Row, Snapshot
from cbstore_sql.core.policy import DEFAULT_POLICY

CLOSED = Snapshot.of("b", Row(generation=4), 5000.0)
OPEN = CLOSED._replace(state=State.OPEN, generation=5, open_until=5010.0)
SCORED = CLOSED._replace(score=0.5)
RATE = BreakerPolicy(trip=FailureRate(0.05, 0.5))


def seen(snapshot: Snapshot, asked_at: float = 100.0, policy: BreakerPolicy = DEFAULT_POLICY) -> Seen:
    entry = Seen(snapshot, asked_at, 0.25, policy)
    entry.follow(None)
    return entry


@pytest.mark.parametrize(
    ("snapshot", "policy", "permitted", "clean"),
    [
        (CLOSED, DEFAULT_POLICY, True, True),
        (CLOSED._replace(failure_count=1), DEFAULT_POLICY, True, False),
        (SCORED, DEFAULT_POLICY, True, True),
        (SCORED, RATE, True, False),
        (CLOSED, RATE, True, True),
        (CLOSED._replace(hold_until=5001.0), DEFAULT_POLICY, False, True),
        (OPEN, DEFAULT_POLICY, False, False),
    ],
)
def test_only_a_closed_circuit_has_a_permit_and_only_an_empty_one_is_clean(
    snapshot: Snapshot, policy: BreakerPolicy, permitted: bool, clean: bool
) -> None:
    entry = seen(snapshot, policy=policy)
    assert (entry.permit, entry.clean) == (snapshot.permit if permitted else None, clean)


def test_an_entry_is_fresh_until_the_override_ends_but_no_longer_than_the_bound() -> None:
    locked = CLOSED._replace(override="open", override_until=5000.1)
    assert seen(CLOSED).fresh_until == 100.25
    assert seen(locked).fresh_until == pytest.approx(100.1)
    assert seen(locked._replace(override_until=5009.0)).fresh_until == 100.25
    assert seen(locked._replace(override_until=0.0)).fresh_until == 100.25
    assert seen(locked._replace(override_until=4999.0)).fresh_until == 100.25


def test_the_higher_generation_wins_and_within_a_generation_the_later_read() -> None:
    assert seen(OPEN, 99.0).supersedes(seen(CLOSED, 100.0))
    assert not seen(CLOSED, 100.0).supersedes(seen(OPEN, 99.9))
    assert seen(CLOSED, 100.0).supersedes(seen(CLOSED, 100.0))
    assert not seen(CLOSED, 99.9).supersedes(seen(CLOSED, 100.0))


def test_a_lower_generation_wins_when_the_known_entry_is_too_old() -> None:
    anew = CLOSED._replace(generation=0)
    assert not seen(anew, 100.25).supersedes(seen(CLOSED, 100.0))
    assert seen(anew, 100.26).supersedes(seen(CLOSED, 100.0))


def test_unreported_successes_pass_only_to_an_entry_of_the_same_generation() -> None:
    known = seen(CLOSED)
    known.add_success(100.1)
    for snapshot, kept in [(CLOSED, 1), (OPEN, 0), (CLOSED._replace(generation=3), 0)]:
        entry = Seen(snapshot, 101.0, 0.25, DEFAULT_POLICY)
        entry.follow(known)
        assert entry.successes.count_since(0.0) == kept


def test_an_entry_remembers_the_last_refresh_and_the_idle_time() -> None:
    known, entry = seen(CLOSED), Seen(CLOSED, 101.0, 0.25, DEFAULT_POLICY)
    known.refreshed_at, known.idle = 100.0, 3
    entry.follow(known)
    assert (entry.refreshed_at, entry.idle) == (100.0, 3)
    entry.refreshed_at = 102.0
    entry.follow(known)
    assert entry.refreshed_at == 102.0


def test_a_distrusted_entry_answers_nothing_and_keeps_its_generation() -> None:
    entry = seen(CLOSED)
    doubted = entry.distrusted(100.1)
    assert (doubted.permit, doubted.clean, doubted.quiet) == (None, False, False)
    assert (doubted.asked_at, doubted.fresh_until) == (100.1, float("-inf"))
    assert doubted.snapshot is entry.snapshot


def test_a_report_makes_no_second_list_of_successes(monkeypatch: pytest.MonkeyPatch) -> None:
    known = seen(CLOSED)
    made: list[UnreportedSuccesses] = []

    def counted() -> UnreportedSuccesses:
        made.append(UnreportedSuccesses())
        return made[-1]

    monkeypatch.setattr(module, "UnreportedSuccesses", counted)
    Seen(CLOSED._replace(failure_count=1), 101.0, 0.25, DEFAULT_POLICY).follow(known)
    assert made == []
    Seen(OPEN, 101.0, 0.25, DEFAULT_POLICY).follow(known)
    assert len(made) == 1
