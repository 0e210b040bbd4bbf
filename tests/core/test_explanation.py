from __future__ import annotations

from dataclasses import replace

from cbstore_sql.core.explanation import explain
from cbstore_sql.core.model import Row, Snapshot

NOW = 1_800_000_000.0
CLOSED = Row(generation=3)
TRIPPED = replace(
    CLOSED, state="open", failure_count=5, last_failure_time=NOW - 10, open_until=NOW + 20, open_seconds=30.0
)


def text(row: Row, name: str = "payments") -> str:
    return " ".join(explain(Snapshot.of(name, row, NOW)))


def test_a_clean_closed_circuit_needs_two_sentences() -> None:
    assert text(CLOSED) == "payments is closed: calls pass. No failure was counted since the last success."


def test_a_closed_circuit_with_failures_says_how_many_and_when() -> None:
    said = text(replace(CLOSED, failure_count=1, last_failure_time=NOW - 7200))
    assert "1 failure was counted since the last success." in said
    assert "The last failure was 2 h ago, at 2027-01-15 06:00:00 UTC." in said


def test_a_tripped_circuit_says_why_since_when_and_when_a_probe_is_due() -> None:
    said = text(TRIPPED)
    assert "It tripped on failures." in said
    assert "5 failures were counted since the last success." in said
    assert "The last failure was 10 s ago" in said
    assert "A probe is due in 20 s, at 2027-01-15 08:00:20 UTC." in said


def test_a_forced_circuit_is_not_called_tripped() -> None:
    said = text(replace(TRIPPED, failure_count=0, open_seconds=0.0))
    assert "It was forced open, by an operator or by a Retry-After." in said
    assert "tripped" not in said


def test_a_probe_that_is_overdue_says_for_how_long() -> None:
    assert "A probe has been due for 5 min" in text(replace(TRIPPED, open_until=NOW - 300))


def test_a_probe_under_way_names_its_holder_and_when_it_can_be_taken_over() -> None:
    said = text(replace(TRIPPED, state="half_open", probe_token="api-1/77/f00d", probe_until=NOW + 60))
    assert "api-1/77 (host/process id) holds the probe." in said
    assert "another caller takes over in 1 min." in said


def test_a_free_probe_slot_and_earlier_probes_are_told() -> None:
    said = text(replace(TRIPPED, state="half_open", success_count=2))
    assert "2 successful probes so far" in said
    assert "No process holds the probe: the next call takes it." in said


def test_a_hostile_name_is_shown_harmless() -> None:
    assert text(CLOSED, "a\x1b[31m").startswith(r"a\x1b[31m is closed")
