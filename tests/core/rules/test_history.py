"""Tests of the history entry that each change of state and each override adds."""

from __future__ import annotations

import os

import pytest

from cbstore_sql.core import commands
from cbstore_sql.core.commands import Command
from cbstore_sql.core.history import HISTORY_LENGTH, HistoryEntry, append, decode_history, entry_label
from cbstore_sql.core.model import Row, State
from cbstore_sql.core.policy import BreakerPolicy, FailureRate
from tests.core.rules.rows import CLEAN, DIRTY, ELAPSED, LAPSED, NOW, OPEN, OWNER, POLICY, PROBING

RATE = BreakerPolicy(trip=FailureRate(0.1, 0.9, 10.0))
LOCKED = OPEN._replace(override="open")


def override(mode: str) -> Command:
    return commands.set_override("b", mode, "ann", "deploy", seconds=None, create=True, now=NOW)


@pytest.mark.parametrize(
    ("row", "command", "states", "cause", "by"),
    [
        (DIRTY, commands.record_failure("b", POLICY, 1, NOW, 0.0), ("closed", "open"), "count", None),
        (DIRTY, commands.record_failure("b", RATE, 9, NOW, 0.0), ("closed", "open"), "score", None),
        (PROBING, commands.record_failure(OWNER, POLICY, 1, NOW, 0.0), ("half_open", "open"), "probe_failed", None),
        (PROBING, commands.record_failure(OWNER, RATE, 1, NOW, 0.0), ("half_open", "open"), "probe_failed", None),
        (ELAPSED, commands.claim_probe("b", POLICY, "me", NOW), ("open", "half_open"), "probe_claimed", None),
        (PROBING, commands.record_success(OWNER, POLICY, None, NOW), ("half_open", "closed"), "probe_succeeded", None),
        (CLEAN, commands.force_open("b", 1.0, NOW), ("closed", "open"), "forced", None),
        (PROBING, commands.force_open("b", 1.0, NOW, "ann"), ("half_open", "open"), "forced", "ann"),
        (OPEN, commands.reset("b", NOW, "ann"), ("open", "closed"), "reset", "ann"),
        (OPEN, override("open"), ("open", "open"), "override_open", "ann"),
        (CLEAN, override("closed"), ("closed", "closed"), "override_closed", "ann"),
        (PROBING, override("shadow"), ("half_open", "half_open"), "override_shadow", "ann"),
        (LOCKED, commands.clear_override("b", "bob", NOW), ("open", "open"), "override_cleared", "bob"),
    ],
)
def test_a_transition_adds_one_entry(
    row: Row, command: Command, states: tuple[str, str], cause: str, by: str | None
) -> None:
    changed = command.apply_to(row._replace(history="1Fco;"), NOW)
    assert changed is not None
    older, newest = decode_history(changed.history)
    assert older.cause == "forced"
    assert newest == HistoryEntry(NOW, State(states[0]), State(states[1]), cause, by or entry_label())


def test_a_state_written_through_the_protocol_adds_an_entry() -> None:
    command = commands.replace_state("b", {"state": "half_open"}, 60.0, None)
    changed = command._replace(parameters={**command.parameters, "now": NOW}).apply_to(OPEN, NOW)
    assert changed is not None
    assert [entry[1:4] for entry in decode_history(changed.history)] == [(State.OPEN, State.HALF_OPEN, "replaced")]


@pytest.mark.parametrize(
    ("row", "command"),
    [
        (CLEAN, commands.record_failure("b", POLICY, 1, NOW, 0.0)),
        (OPEN, commands.record_failure("b", POLICY, 1, NOW, 0.0)),
        (DIRTY, commands.record_success("b", POLICY, None, NOW)),
        (PROBING, commands.record_success(OWNER, BreakerPolicy(success_threshold=2), None, NOW)),
        (LAPSED, commands.claim_probe("b", POLICY, "me", NOW)),
        (PROBING, commands.claim_probe("b", POLICY, "owner", NOW)),
        (PROBING, commands.release_probe(OWNER, NOW)),
        (PROBING, commands.renew_probe(OWNER, POLICY, NOW)),
        (OPEN, commands.force_open("b", 1.0, NOW)),
        (DIRTY, commands.reset("b", NOW)),
        (OPEN, commands.hold("b", 1.0, NOW)),
        (OPEN, commands.clear_override("b", "ann", NOW)),
        (OPEN, commands.increment_failure("b")),
        (OPEN, commands.replace_state("b", {"state": "open", "failure_count": 9}, 60.0, None)),
        (OPEN, commands.replace_state("b", {"failure_count": 9}, 60.0, None)),
    ],
)
def test_other_changes_add_no_entry(row: Row, command: Command) -> None:
    changed = command.apply_to(row._replace(history="1Fco;"), NOW)
    assert changed is not None
    assert changed.history == "1Fco;"


def test_the_history_keeps_eight_entries_and_drops_the_oldest() -> None:
    text = ""
    for number in range(20):
        text = append(text, 1.8e9 + number, "closed", "open", "N", "x" * 15)
        assert len(text.encode()) <= HISTORY_LENGTH
    entries = decode_history(text)
    assert [entry.at for entry in entries] == [1.8e9 + number for number in range(12, 20)]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", []),
        ("1000Ncoann;9", ["ann"]),
        ("1000Ncoann;999Fcob", ["ann"]),
        ("damaged", []),
        ("1000?coann;2000Ncobob;", ["bob"]),
        ("1000Nxoann;2000Ncobob;", ["bob"]),
        ("2000Ncobob;1000Ncoann;", ["ann", "bob"]),
    ],
)
def test_a_damaged_entry_is_skipped(text: str, labels: list[str]) -> None:
    assert [entry.by for entry in decode_history(text)] == labels


@pytest.mark.parametrize(
    ("by", "label"),
    [
        ("ann", "ann"),
        ("José Núñez", "Jose Nunez"),
        ("a;b\n", "a?b?"),
        ("x" * 40, "x" * 15),
        ("後端", "??"),
    ],
)
def test_a_name_becomes_a_short_ascii_label(by: str, label: str) -> None:
    assert entry_label(by) == label


def test_the_label_of_a_process_ends_with_its_number() -> None:
    assert entry_label().endswith(f"/{os.getpid()}")
    assert len(entry_label()) <= 15
