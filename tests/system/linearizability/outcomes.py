"""Computes the possible rows after one call with the state machine.

With ``now`` given, the machine's answer must be the store's, to the last bit. By the store's own clock the moment is
known from the answer's ``as_of`` alone, and a statement may read the clock more than once: there a column that follows
the clock may differ by as much as the call took.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cbstore_sql.core.model import Row, Snapshot, Transition
from tests.system.linearizability.history import Call, seen, visible

ANY_TIME = -1.0
"""In a row, a time that a call without an answer wrote by the store's clock and nobody has seen yet."""

# A time long past and a time far ahead stand for any time.
_PAST, _AHEAD, _BEYOND = 0.125, 1e12, 2e12
_UNSEEN = (ANY_TIME, _PAST, _AHEAD)
_TIMES = ("last_failure_time", "open_until", "probe_until", "closed_at", "hold_until")
# SQLite's clock ticks in milliseconds.
_CLOCK_STEP = 0.002
_COLUMNS = set(Row._fields)


def after_answer(row: Row, call: Call) -> Row | None:
    """Return the row after an answered call, or ``None`` if the machine would give another answer."""
    for guess in _guesses(row):
        after = _after(guess, call)
        if after is not None:
            return row if after is guess else after
    return None


def after_silence(row: Row, call: Call) -> Row | None:
    """Return the row after the effect of a call without an answer; ``None`` if it cannot have had an effect."""
    for guess in _guesses(row):
        made = call.command.apply_to(guess, _BEYOND)
        if made is not None:
            unknown = dict.fromkeys(_unseen(made) | _clocked(guess, call, made, _BEYOND), ANY_TIME)
            return visible(_with(made, unknown))
    return None


def _after(row: Row, call: Call) -> Row | None:
    if isinstance(call.answer, Transition):
        return _after_effect(row, call, call.answer)
    if isinstance(call.answer, Snapshot):
        observed = seen(call.answer)
        return row if observed == row else observed if _agree(row, observed, _unseen(row)) else None
    # The one condition that looks at the clock, the claim's, comes to hold and holds from then on.
    moments = (call.earliest - _CLOCK_STEP, call.latest + _CLOCK_STEP)
    return row if any(call.command.apply_to(row, moment) is None for moment in moments) else None


def _after_effect(row: Row, call: Call, answer: Transition) -> Row | None:
    as_of = answer.snapshot.as_of
    if call.command.clock(as_of) != as_of:
        return None
    observed = seen(answer.snapshot)
    # A lease may run out between two readings of the clock.
    moments = (as_of, min(as_of, call.earliest))
    columns = [_agreeing(row, call, moment, answer.previous_state.value, observed) for moment in moments]
    return observed if set().union(*columns) == _COLUMNS else None


def _agreeing(row: Row, call: Call, now: float, previous_state: str, observed: Row) -> set[str]:
    """Return the columns in which the machine's row at a time agrees with the observed row."""
    made = call.command.apply_to(row, now)
    if made is None or made.previous_state != previous_state:
        return set()
    made = visible(made)
    if made == observed:
        return set(_COLUMNS)
    spread = call.latest - call.earliest + _CLOCK_STEP
    near = {
        column
        for column in _clocked(row, call, made, now)
        if abs(getattr(made, column) - getattr(observed, column)) <= spread
    }
    same = {column for column in _COLUMNS if getattr(made, column) == getattr(observed, column)}
    return near | same | _unseen(made)


def _guesses(row: Row) -> Iterator[Row]:
    unseen = _unseen(row)
    if not unseen:
        yield row
        return
    for time in (_PAST, _AHEAD):
        yield _with(row, dict.fromkeys(unseen, time))


def _unseen(row: Row) -> set[str]:
    return {column for column in _TIMES if getattr(row, column) in _UNSEEN}


def _clocked(row: Row, call: Call, made: Row, now: float) -> set[str]:
    """Return the columns of ``made`` that depend on the store's clock."""
    later = call.command.apply_to(row, now + 1.0)
    return {column for column in _TIMES if getattr(later, column) != getattr(made, column)}


def _agree(made: Row, observed: Row, but_for: set[str]) -> bool:
    return _with(made, {column: getattr(observed, column) for column in but_for}) == observed


def _with(row: Row, columns: Mapping[str, Any]) -> Row:
    return row._replace(**columns)
