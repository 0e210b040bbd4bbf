"""Tests of the checks with small histories.

Each call has its beginning, its end, and the row that it claims to have found.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from cbstore_sql import BreakerPolicy
from cbstore_sql.core import commands
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Permit, Row, Snapshot, Transition
from tests.system.linearizability.checker import check
from tests.system.linearizability.generations import check_order
from tests.system.linearizability.history import READ, Call

POLICY = BreakerPolicy(failure_threshold=3, recovery_timeout=10.0, probe_lease=10.0)
NAME = "b"
T0 = 1000.0


def fail(now: float | None = T0, target: str | Permit = NAME) -> Command:
    return commands.record_failure(target, POLICY, 1, now, 0.0)


def succeed(target: str | Permit = NAME) -> Command:
    return commands.record_success(target, POLICY, None, T0)


def claim(token: str, now: float | None = T0) -> Command:
    return commands.claim_probe(NAME, POLICY, token, now)


def force_open(now: float | None = T0) -> Command:
    return commands.force_open(NAME, 0.0, now)


def made(row: Row, command: Command, now: float = T0) -> Row:
    """Return the row after a command, by the state machine."""
    after = command.apply_to(row, now)
    assert after is not None
    return after


def did(began: float, ended: float, command: Command, found: Row, by: Row | None = None) -> Call:
    """Return a call with the answer for a given row, or with a given answer."""
    after = by or made(found, command, T0 + ended)
    answer = Transition.of(NAME, after, command.clock(T0 + ended))
    return Call(0, command, began, ended, T0 + began, T0 + ended, answer)


def did_nothing(began: float, ended: float, command: Command) -> Call:
    return Call(0, command, began, ended, T0 + began, T0 + ended, None)


def fell_silent(began: float, command: Command) -> Call:
    return Call(0, command, began, math.inf, T0 + began, math.inf)


def repeated(call: Call) -> Call:
    """Return the same call with one failed statement."""
    return replace(call, failures=1)


def read(began: float, ended: float, row: Row) -> Call:
    snapshot = Snapshot.of(NAME, row, T0 + ended)
    return Call(0, Command(READ, NAME, {"now": None}), began, ended, T0 + began, T0 + ended, snapshot)


CLEAN = Row()
ONE = made(CLEAN, fail())
TWO = made(ONE, fail())
OPEN = made(CLEAN, force_open())
OWNED = made(OPEN, claim("a"))
OPENED_LATE = made(CLEAN, force_open(None), T0 + 4)
CLOCK_READ_TWICE = ONE._replace(last_failure_time=T0 + 0.5)

CLOSED_AGAIN = made(OWNED, succeed(Permit(NAME, OWNED.generation, "a")))

LEGAL = {
    "nothing at all": [],
    "one after the other": [did(0, 1, fail(), CLEAN), read(2, 3, ONE), did(4, 5, fail(), ONE), read(6, 7, TWO)],
    "a read during a write sees the row before": [read(0, 9, CLEAN), did(1, 8, fail(), CLEAN), read(9, 10, ONE)],
    "a read during a write sees the row after": [did(1, 8, fail(), CLEAN), read(0, 9, ONE)],
    "of two at once the one begun later goes first": [did(0, 9, fail(), ONE), did(1, 9, fail(), CLEAN)],
    "one of two claims is lost": [
        did(0, 1, force_open(), CLEAN),
        did(2, 9, claim("a"), OPEN),
        did_nothing(2, 9, claim("b")),
    ],
    "a claim is repeated by its owner": [
        did(0, 1, force_open(), CLEAN),
        did(2, 3, claim("a"), OPEN),
        did(4, 5, claim("a"), OWNED),
    ],
    "a lease that has run out is taken over": [
        did(0, 1, force_open(), CLEAN),
        did(2, 3, claim("a"), OPEN),
        did(4, 5, claim("b", T0 + 10), OWNED),
    ],
    "counts begin anew after a success": [
        did(0, 1, fail(), CLEAN),
        did(2, 3, succeed(), ONE),
        did(4, 5, fail(), made(ONE, succeed())),
    ],
    "silence that had an effect": [fell_silent(0, fail()), read(5, 6, ONE)],
    "silence that has its effect late": [fell_silent(0, fail()), read(5, 6, CLEAN), read(7, 8, ONE)],
    "silence that had none": [fell_silent(0, fail()), did(2, 3, fail(), CLEAN), read(5, 6, ONE)],
    "silence twice, one had an effect": [fell_silent(0, fail()), fell_silent(0, fail()), read(1, 2, ONE)],
    "silence by the store's clock, seen later": [fell_silent(0, force_open(None)), read(5, 6, OPENED_LATE)],
    "silence by the store's clock, seen through a claim": [
        fell_silent(0, force_open(None)),
        did(5, 6, claim("a", None), OPENED_LATE),
    ],
    "silence by the store's clock, of which a lost claim tells": [
        did(0, 1, force_open(), CLEAN),
        fell_silent(2, claim("a", None)),
        did_nothing(3, 4, claim("b", None)),
        did_nothing(5, 6, claim("b", None)),
    ],
    "a settling repeated, of which the second told of nothing": [
        did(0, 1, force_open(), CLEAN),
        did(2, 3, claim("a"), OPEN),
        repeated(did_nothing(4, 5, succeed(Permit(NAME, OWNED.generation, "a")))),
        read(6, 7, CLOSED_AGAIN),
    ],
    "a lease that runs out within the statement of a repeated claim": [
        did(0, 1, force_open(), CLEAN),
        did(2, 3, claim("a", None), OPEN, by=OWNED._replace(probe_until=T0 + 13)),
        did(12, 13.5, claim("a", None), CLEAN, by=OWNED._replace(probe_until=T0 + 13, previous_state="half_open")),
    ],
    "a clock read twice by one statement": [did(0, 2, fail(None), CLEAN, by=CLOCK_READ_TWICE)],
}

ILLEGAL = {
    "a read misses a write that had ended": [did(0, 1, fail(), CLEAN), read(2, 3, CLEAN), read(4, 5, ONE)],
    "a read sees a write that had not begun": [read(0, 1, ONE), did(2, 3, fail(), CLEAN)],
    "two reads see a write come and go": [did(0, 9, fail(), CLEAN), read(1, 2, ONE), read(3, 4, CLEAN)],
    "an effect out of nothing": [read(0, 1, ONE)],
    "a change of state by nobody": [did(0, 1, fail(), CLEAN), read(2, 3, OPEN)],
    "a lost update": [did(0, 9, fail(), CLEAN), did(0, 9, fail(), CLEAN)],
    "a failure counted twice": [did(0, 1, fail(), ONE), read(2, 3, TWO)],
    "two owners of one probe": [
        did(0, 1, force_open(), CLEAN),
        did(2, 9, claim("a"), OPEN),
        did(2, 9, claim("b"), OPEN),
    ],
    "a lease that runs is taken over": [
        did(0, 1, force_open(), CLEAN),
        did(2, 3, claim("a"), OPEN),
        did(4, 5, claim("b"), OWNED, by=made(OWNED, claim("b", T0 + 10))),
    ],
    "silence that has its effect before it began": [read(0, 1, ONE), fell_silent(2, fail()), read(3, 4, ONE)],
    "silence that has two effects": [fell_silent(0, fail()), read(1, 2, TWO)],
    "a count that was repeated": [
        did(0, 1, fail(), CLEAN),
        repeated(did(2, 3, fail(), TWO)),
    ],
    "a clock that runs away within one statement": [
        did(4, 5, fail(None), CLEAN, by=CLOCK_READ_TWICE._replace(last_failure_time=T0 + 0.5))
    ],
}

ONLY_A_SEARCH_FINDS = {
    "two reads see a write come and go": "generations stay as they are while a closed circuit counts",
    "a read misses a write that had ended": "the same",
    "a read sees a write that had not begun": "the same",
    "silence that has its effect before it began": "what fell silent is not placed in time",
}


@pytest.mark.parametrize("calls", LEGAL.values(), ids=LEGAL)
def test_a_linearizable_history_passes_both_checks(calls: list[Call]) -> None:
    assert ([str(violation) for violation in check(calls)], check_order(calls)) == ([], [])


@pytest.mark.parametrize("calls", ILLEGAL.values(), ids=ILLEGAL)
def test_the_search_finds_a_history_that_is_not_linearizable(calls: list[Call]) -> None:
    [violation] = check(calls)
    assert str(violation.stuck[0]) in str(violation)


@pytest.mark.parametrize("case", [case for case in ILLEGAL if case not in ONLY_A_SEARCH_FINDS])
def test_the_order_of_generations_reveals_most_wrong_histories(case: str) -> None:
    assert check_order(ILLEGAL[case]) != []


@pytest.mark.parametrize("case", ONLY_A_SEARCH_FINDS)
def test_the_order_of_generations_does_not_reveal_the_other_wrong_histories(case: str) -> None:
    assert check_order(ILLEGAL[case]) == []
