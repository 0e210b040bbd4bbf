from __future__ import annotations

import pytest

from cbstore_sql.core.explanation import CAUSE_WORDS, explain
from cbstore_sql.core.history import CAUSES, HistoryEntry
from cbstore_sql.core.model import Row, Snapshot, State

NOW = 1_800_000_000.0
CLOSED = Row(generation=3)
TRIPPED = CLOSED._replace(
    state="open", failure_count=5, last_failure_time=NOW - 10, open_until=NOW + 20, open_seconds=30.0
)


def text(row: Row, *history: HistoryEntry, name: str = "payments") -> str:
    return " ".join(explain(Snapshot.of(name, row, NOW), history))


def test_a_clean_closed_circuit_needs_two_sentences() -> None:
    assert text(CLOSED) == "payments is closed: calls pass. No failure was counted since the last success."


def test_a_closed_circuit_with_failures_is_explained_with_their_number_and_time() -> None:
    said = text(CLOSED._replace(failure_count=1, last_failure_time=NOW - 7200))
    assert "1 failure was counted since the last success." in said
    assert "The last failure was 2 h ago, at 2027-01-15 06:00:00 UTC." in said


def test_a_tripped_circuit_is_explained_with_its_cause_its_time_and_the_next_probe() -> None:
    said = text(TRIPPED)
    assert "It tripped on failures." in said
    assert "5 failures were counted since the last success." in said
    assert "The last failure was 10 s ago, at" in said
    assert "A probe is due in 20 s, at 2027-01-15 08:00:20 UTC." in said


def test_a_forced_circuit_is_explained_as_forced_and_not_as_tripped() -> None:
    said = text(TRIPPED._replace(failure_count=0, open_seconds=0.0))
    assert "It was forced open, by an operator or by a Retry-After." in said
    assert "tripped" not in said


def test_an_overdue_probe_is_explained_with_the_time_since_it_was_due() -> None:
    assert "A probe has been due for 5 min" in text(TRIPPED._replace(open_until=NOW - 300))


def test_a_running_probe_is_explained_with_its_owner_and_the_end_of_its_lease() -> None:
    said = text(TRIPPED._replace(state="half_open", probe_token="api-1/77/f00d", probe_until=NOW + 60))
    assert "api-1/77 (host/process id) holds the probe." in said
    assert "another caller takes over in 1 min." in said


def test_a_free_probe_and_the_number_of_successful_probes_are_explained() -> None:
    said = text(TRIPPED._replace(state="half_open", success_count=2))
    assert "2 successful probes so far" in said
    assert "No process holds the probe: the next call takes it." in said


def test_control_characters_in_a_name_are_escaped() -> None:
    assert text(CLOSED, name="a\x1b[31m").startswith(r"a\x1b[31m is closed")


def change(cause: str, previous: State, state: State, by: str = "api-1/77") -> HistoryEntry:
    return HistoryEntry(NOW - 60, previous, state, cause, by)


def test_the_explanation_names_the_person_the_time_and_the_cause_of_the_last_change() -> None:
    said = text(TRIPPED, change("count", State.CLOSED, State.OPEN))
    assert "It became open 1 min ago, at 2027-01-15 07:59:00 UTC: the failures reached the threshold" in said
    assert "(by api-1/77)." in said


def test_an_override_in_the_history_is_not_explained_as_a_change_of_state() -> None:
    said = text(
        TRIPPED,
        change("forced", State.CLOSED, State.OPEN, "alice"),
        change("override_open", State.OPEN, State.OPEN, "bob"),
    )
    assert "forced open (by alice)." in said


def test_every_cause_has_an_explanation() -> None:
    assert set(CAUSE_WORDS) == set(CAUSES.values())


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("open", "payments is locked open: every call is refused."),
        ("closed", "payments is locked closed: every call goes through, whatever fails."),
        ("shadow", "payments is in shadow mode: every call goes through"),
    ],
)
def test_an_override_comes_first_with_its_author_reason_and_end(mode: str, words: str) -> None:
    row = TRIPPED._replace(override=mode, override_until=NOW + 600, override_by="alice", override_reason="rollout")
    said = text(row)
    assert said.startswith(words)
    assert "alice set this override. Reason: rollout." in said
    assert "It ends in 10 min, at 2027-01-15 08:10:00 UTC" in said
    assert "Underneath, the circuit goes on: payments is open: calls are refused." in said


def test_an_override_that_has_ended_is_explained_as_an_earlier_override() -> None:
    said = text(CLOSED._replace(override="open", override_until=NOW - 60, override_by="a", override_reason="b"))
    assert said.startswith("An earlier override (open) ended 1 min ago")
    assert "locked" not in said


def test_a_hold_is_explained_with_its_remaining_time() -> None:
    held = CLOSED._replace(hold_until=NOW + 30)
    assert "no call is made for another 30 s." in text(held)
    ignoring = held._replace(override="closed", override_by="a", override_reason="b")
    assert "The override ignores it." in text(ignoring)


def test_a_score_is_shown_as_a_share_of_its_limit() -> None:
    assert "The evidence of failure is at 40% of the limit." in text(CLOSED._replace(score=0.4, score_generation=3))
