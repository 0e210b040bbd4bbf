"""The state machine, stated once.

Each function is one operation. From a breaker's row and the caller's parameters it makes a `Change`: the condition
under which the operation has an effect, and the new values of the columns it sets. The same functions run on
numbers (memory, Redis without scripting) and on SQL columns and bind parameters, where the result becomes
``UPDATE … SET values WHERE condition RETURNING …``. The Lua files mirror them name by name.

Because of that double reading a rule may use only operators, ``&``, ``|``, ``when(condition, a, b)`` and
``append(history, now, before, after, cause, label)``; a test over this file's syntax tree enforces it. Python's
``and``, ``or``, ``not``, ``if``, ``~`` and chained comparisons silently mean something else in SQL. Both branches of
``when`` are evaluated. No column is NULL.

One SQL statement may read the clock (``given.now``) more than once, so no rule may depend on two readings being equal.

``append`` adds an entry to the row's short history (`core.history`). A rule uses it where it changes the state or the
override, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cbstore_sql.core.history import (
    COUNT_REACHED,
    FORCED,
    OVERRIDE_CLEARED,
    OVERRIDE_CLOSED,
    OVERRIDE_OPEN,
    OVERRIDE_SHADOW,
    PROBE_CLAIMED,
    PROBE_FAILED,
    PROBE_SUCCEEDED,
    REPLACED,
    RESET,
    SCORE_REACHED,
)
from cbstore_sql.core.model import State

CLOSED = State.CLOSED.value
OPEN = State.OPEN.value
HALF_OPEN = State.HALF_OPEN.value
SHADOW = "shadow"

UNFENCED = -1
"""The generation of a report without a permit."""

ANY_STATE = ""
"""The expected state of an operation that accepts every state."""

KEEP = -1
"""In `replace_state`, a number that stands for the column's present value (for text it is ``""``)."""

BY_COUNT = "count"
"""The test of a policy that trips after so many failures in a row."""

BY_SCORE = "score"
"""The test of a `FailureRate` policy, which trips when the score reaches `TRIP_AT`."""

TRIP_AT = 1.0 - 1e-9
"""The share of the limit at which the score trips: sums of steps that make 1 on paper fall a little short of it."""

When = Callable[[Any, Any, Any], Any]
Append = Callable[[Any, Any, Any, Any, Any, Any], Any]


class Change(NamedTuple):
    """What an operation does, and when.

    Attributes:
        values: The new values, computed from the row as the operation finds it.
        where: The row-level condition; without it the operation has no effect.
    """

    values: Mapping[str, Any]
    where: Any = True


def claim_probe(row: Any, given: Any, when: When, append: Append) -> Change:
    """Make the caller the probe's owner: open and elapsed, or half_open with a free slot or an expired lease.

    A hold or the override ``open`` forbids the claim; the override ``closed`` ignores holds. A repeated claim with the
    same token (its reply was lost) changes nothing and gets the same answer as the first.

    Given: now, lease, token, label.
    """
    due = (row.state == OPEN) & (row.open_until <= given.now)
    lapsed = (row.state == HALF_OPEN) & (row.probe_until <= given.now)
    repeated = (row.state == HALF_OPEN) & (row.probe_token == given.token) & (row.probe_until > given.now)
    expired = (row.override_until > 0.0) & (row.override_until <= given.now)
    in_force = (row.override_until == 0.0) | (row.override_until > given.now)
    unlocked = (row.override != OPEN) | expired
    unheld = (row.hold_until <= given.now) | ((row.override == CLOSED) & in_force)
    return Change(
        where=repeated | (unlocked & unheld & (due | lapsed)),
        values={
            "state": HALF_OPEN,
            "generation": when(repeated, row.generation, row.generation + 1),
            "success_count": when(row.state == OPEN, 0, row.success_count),
            "probe_token": given.token,
            "probe_until": when(repeated, row.probe_until, given.now + given.lease),
            "history": when(
                row.state == OPEN,
                append(row.history, given.now, OPEN, HALF_OPEN, PROBE_CLAIMED, given.label),
                row.history,
            ),
        },
    )


def record_failure(row: Any, given: Any, when: When, append: Append) -> Change:
    """Count failures, after the successes that came before them; trip a closed circuit; re-open a half-open one.

    By count: the circuit trips when the failures in a row reach the threshold. By score: when the score reaches its
    limit; the score counts only in the generation it was written in. The condition stands in the statement many times,
    so the caller computes beforehand from which score the report trips (``enough``), and whether it trips from every
    score (``trips_alone``). An unfenced failure that arrives while the circuit is open prolongs the open time.

    Given: now, generation, token, failures, successes, test, failure_threshold, evidence, relief, enough, trips_alone,
    recovery_timeout, backoff_multiplier, recovery_timeout_cap, stretch, label.
    """
    count = when(given.successes == 0, row.failure_count + given.failures, given.failures)
    current = row.score_generation == row.generation
    reached = (given.trips_alone == 1) | (current & (row.score >= given.enough))
    by_count = (given.test == BY_COUNT) & (count >= given.failure_threshold)
    by_score = (given.test == BY_SCORE) & reached
    trips = (row.state == HALF_OPEN) | ((row.state == CLOSED) & (by_count | by_score))
    scores = (given.test == BY_SCORE) & (row.state == CLOSED)
    cause = when(row.state == HALF_OPEN, PROBE_FAILED, when(given.test == BY_SCORE, SCORE_REACHED, COUNT_REACHED))
    seconds = _next_open_seconds(row, given, when)
    prolonged = _larger(row.open_until, given.now + given.recovery_timeout, when)
    kept = when(row.state == OPEN, prolonged, row.open_until)
    return Change(
        where=(given.generation == UNFENCED) | _permitted(row, given),
        values={
            "state": when(trips, OPEN, row.state),
            "generation": when(trips, row.generation + 1, row.generation),
            "failure_count": count,
            "success_count": 0,
            "last_failure_time": given.now,
            "open_until": when(trips, given.now + seconds * given.stretch, kept),
            "open_seconds": when(trips, seconds, row.open_seconds),
            "probe_token": when(trips, "", row.probe_token),
            "probe_until": when(trips, 0.0, row.probe_until),
            "score": when(scores, _lowered(row, given, when) + given.evidence, row.score),
            "score_generation": when(scores, row.generation, row.score_generation),
            "history": when(trips, append(row.history, given.now, row.state, OPEN, cause, given.label), row.history),
        },
    )


def record_success(row: Any, given: Any, when: When, append: Append) -> Change:
    """Clear the count of a closed circuit and lower its score; close a half-open one, or bring it one probe nearer.

    A clean closed circuit and an open one are left alone.

    Given: now, generation, token, success_threshold, expected, test, relief, label.
    """
    probing = row.state == HALF_OPEN
    closes = row.success_count + 1 >= given.success_threshold
    scored = (given.test == BY_SCORE) & (row.score_generation == row.generation) & (row.score > 0.0)
    dirty = (row.state == CLOSED) & ((row.failure_count > 0) | (row.probe_until > 0.0) | scored)
    expected = (given.expected == ANY_STATE) | (row.state == given.expected)
    admitted = (given.generation == UNFENCED) | _permitted(row, given)
    scores = (given.test == BY_SCORE) & (row.state == CLOSED)
    return Change(
        where=admitted & expected & (probing | dirty),
        values={
            "state": when(closes, CLOSED, row.state),
            "generation": when(probing, row.generation + 1, row.generation),
            "failure_count": when(closes, 0, when(probing, row.failure_count, 0)),
            "success_count": when(closes, 0, when(probing, row.success_count + 1, 0)),
            "open_seconds": when(closes, 0.0, row.open_seconds),
            "probe_token": "",
            "probe_until": 0.0,
            "score": when(scores, _lowered(row, given, when), row.score),
            "score_generation": when(scores, row.generation, row.score_generation),
            "closed_at": when(probing & closes, given.now, row.closed_at),
            "history": when(
                probing & closes,
                append(row.history, given.now, HALF_OPEN, CLOSED, PROBE_SUCCEEDED, given.label),
                row.history,
            ),
        },
    )


def release_probe(row: Any, given: Any, when: When, append: Append) -> Change:
    """Free the owner's probe without a verdict; another caller may claim it at once.

    Given: generation, token.
    """
    return Change(
        where=(row.state == HALF_OPEN) & _permitted(row, given),
        values={"generation": row.generation + 1, "probe_token": "", "probe_until": 0.0},
    )


def renew_probe(row: Any, given: Any, when: When, append: Append) -> Change:
    """Extend the owner's lease; never shorten it.

    Given: now, lease, generation, token.
    """
    return Change(
        where=(row.state == HALF_OPEN) & _permitted(row, given),
        values={"probe_until": _larger(row.probe_until, given.now + given.lease, when)},
    )


def force_open(row: Any, given: Any, when: When, append: Append) -> Change:
    """Open the circuit until the later of the present deadline and now + seconds.

    Given: now, seconds, label.
    """
    return Change(
        values={
            "state": OPEN,
            "generation": row.generation + 1,
            "success_count": 0,
            "last_failure_time": _larger(row.last_failure_time, given.now, when),
            "open_until": _larger(row.open_until, given.now + given.seconds, when),
            "probe_token": "",
            "probe_until": 0.0,
            "history": when(
                row.state == OPEN,
                row.history,
                append(row.history, given.now, row.state, OPEN, FORCED, given.label),
            ),
        },
    )


def reset(row: Any, given: Any, when: When, append: Append) -> Change:
    """Return to closed and clean, without a hold or a ramp; earlier permits lose their effect. An override stays.

    Given: now, label.
    """
    return Change(
        values={
            "state": CLOSED,
            "generation": row.generation + 1,
            "failure_count": 0,
            "success_count": 0,
            "last_failure_time": 0.0,
            "open_until": 0.0,
            "open_seconds": 0.0,
            "probe_token": "",
            "probe_until": 0.0,
            "score": 0.0,
            "closed_at": 0.0,
            "hold_until": 0.0,
            "history": when(
                row.state == CLOSED,
                row.history,
                append(row.history, given.now, row.state, CLOSED, RESET, given.label),
            ),
        },
    )


def hold(row: Any, given: Any, when: When, append: Append) -> Change:
    """Let no call through before now + seconds; never shorten a hold. The state stays as it is.

    Given: now, seconds.
    """
    return Change(values={"hold_until": _larger(row.hold_until, given.now + given.seconds, when)})


def set_override(row: Any, given: Any, when: When, append: Append) -> Change:
    """Lock the breaker to a mode at admission; the state machine goes on underneath.

    Given: now, mode, seconds (0 means until it is cleared), by, reason, label.
    """
    shown = when(given.mode == CLOSED, OVERRIDE_CLOSED, OVERRIDE_SHADOW)
    cause = when(given.mode == OPEN, OVERRIDE_OPEN, shown)
    return Change(
        values={
            "override": given.mode,
            "override_until": when(given.seconds > 0.0, given.now + given.seconds, 0.0),
            "override_by": given.by,
            "override_reason": given.reason,
            "history": append(row.history, given.now, row.state, row.state, cause, given.label),
        },
    )


def clear_override(row: Any, given: Any, when: When, append: Append) -> Change:
    """Remove the override; without one, nothing changes.

    Given: now, label.
    """
    return Change(
        values={
            "override": "",
            "override_until": 0.0,
            "override_by": "",
            "override_reason": "",
            "history": when(
                row.override == "",
                row.history,
                append(row.history, given.now, row.state, row.state, OVERRIDE_CLEARED, given.label),
            ),
        },
    )


def replace_state(row: Any, given: Any, when: When, append: Append) -> Change:
    """Overwrite the fields the caller names, if the state is the expected one; earlier permits lose their effect.

    Given: now, lease, token, expected, state, failure_count, last_failure_time, open_until, probe, label. `KEEP` (for
    text ``""``) keeps a column; probe is 1 for a probe held by ``token`` from now on, 0 for none.
    """
    claimed = given.probe == 1
    kept = given.probe == KEEP
    same = (given.state == ANY_STATE) | (given.state == row.state)
    return Change(
        where=(given.expected == ANY_STATE) | (row.state == given.expected),
        values={
            "state": when(given.state == ANY_STATE, row.state, given.state),
            "generation": row.generation + 1,
            "failure_count": when(given.failure_count == KEEP, row.failure_count, given.failure_count),
            "success_count": 0,
            "last_failure_time": when(given.last_failure_time == KEEP, row.last_failure_time, given.last_failure_time),
            "open_until": when(given.open_until == KEEP, row.open_until, given.open_until),
            "open_seconds": when(given.state == CLOSED, 0.0, row.open_seconds),
            "probe_token": when(kept, row.probe_token, when(claimed, given.token, "")),
            "probe_until": when(kept, row.probe_until, when(claimed, given.now + given.lease, 0.0)),
            "closed_at": when(given.state == CLOSED, 0.0, row.closed_at),
            "history": when(
                same,
                row.history,
                append(row.history, given.now, row.state, given.state, REPLACED, given.label),
            ),
        },
    )


def increment_failure(row: Any, given: Any, when: When, append: Append) -> Change:
    """Count one failure and leave everything else as it is."""
    return Change(values={"failure_count": row.failure_count + 1})


def _permitted(row: Any, given: Any) -> Any:
    """Whether the permit belongs to this generation and, unless the circuit is closed, to the probe's owner."""
    same = (row.generation == given.generation) & (row.probe_token == given.token)
    return same & ((row.state == CLOSED) | (given.token != ""))


def _next_open_seconds(row: Any, given: Any, when: When) -> Any:
    longer = row.open_seconds * given.backoff_multiplier
    capped = when(longer < given.recovery_timeout_cap, longer, given.recovery_timeout_cap)
    grows = (row.open_seconds > 0.0) & (given.backoff_multiplier > 1.0)
    return when(grows, capped, given.recovery_timeout)


def _lowered(row: Any, given: Any, when: When) -> Any:
    """Return the score after the successes of a report; one of an earlier generation counts as 0."""
    lowers = (row.score_generation == row.generation) & (row.score > given.relief)
    return when(lowers, row.score - given.relief, 0.0)


def _larger(a: Any, b: Any, when: When) -> Any:
    return when(a > b, a, b)


Rule = Callable[[Any, Any, When, Append], Change]


class Operation(NamedTuple):
    """A rule and how it is carried out.

    Attributes:
        rule: The rule.
        parameters: The names of its parameters, in the order every backend passes them.
        creates: Whether it can have an effect on a breaker that has no row.
    """

    rule: Rule
    parameters: tuple[str, ...]
    creates: bool = False

    def __call__(self, row: Any, given: Any, when: When, append: Append) -> Change:
        """Apply the rule; every change also stores the state it found."""
        change = self.rule(row, given, when, append)
        return Change({"previous_state": row.state, **change.values}, change.where)


_POLICY = ("recovery_timeout", "backoff_multiplier", "recovery_timeout_cap", "stretch")
_FENCE = ("generation", "token")

OPERATIONS: Mapping[str, Operation] = {
    "claim_probe": Operation(claim_probe, ("now", "lease", "token", "label")),
    "record_failure": Operation(
        record_failure,
        (
            *("now", *_FENCE, "failures", "successes", "test", "failure_threshold", "evidence", "relief"),
            *("enough", "trips_alone", *_POLICY),
            "label",
        ),
        creates=True,
    ),
    "record_success": Operation(
        record_success, ("now", *_FENCE, "success_threshold", "expected", "test", "relief", "label")
    ),
    "release_probe": Operation(release_probe, ("now", *_FENCE)),
    "renew_probe": Operation(renew_probe, ("now", "lease", *_FENCE)),
    "force_open": Operation(force_open, ("now", "seconds", "label"), creates=True),
    "reset": Operation(reset, ("now", "label"), creates=True),
    "hold": Operation(hold, ("now", "seconds"), creates=True),
    "set_override": Operation(set_override, ("now", "mode", "seconds", "by", "reason", "label"), creates=True),
    "clear_override": Operation(clear_override, ("now", "label")),
    "replace_state": Operation(
        replace_state,
        (
            *("now", "lease", "token", "expected"),
            *("state", "failure_count", "last_failure_time", "open_until", "probe", "label"),
        ),
        creates=True,
    ),
    "increment_failure": Operation(increment_failure, ("now",), creates=True),
}
"""Every operation that writes, by its name in the rules, SQL, Lua, methods and tests."""
