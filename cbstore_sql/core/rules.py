"""The state machine, stated once.

Each function is one operation: from a breaker's row and what the caller gives it makes a `Change`, the condition
under which the operation has an effect and the new values of the columns it sets. The same functions are run on
numbers (memory, Redis without scripting) and on SQL columns and bind parameters, where the result becomes
``UPDATE … SET values WHERE condition RETURNING …``; the Lua files mirror them name by name.

That double reading has a price, which a test over this file's syntax tree holds it to: only operators, ``&``, ``|``
and ``when(condition, a, b)``. Python's ``and``, ``or``, ``not``, ``if``, ``~`` and chained comparisons silently mean
something else in SQL. Both branches of ``when`` are evaluated. No column is NULL.

The clock (``given.now``) may be read more than once by one SQL statement, so no rule may depend on two readings
being equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cbstore_sql.core.model import State

CLOSED = State.CLOSED.value
OPEN = State.OPEN.value
HALF_OPEN = State.HALF_OPEN.value

UNFENCED = -1
"""The generation of a report without a permit."""

ANY_STATE = ""
"""The expected state of an operation that takes the breaker in whatever state it is."""

KEEP = -1
"""In `replace_state`, a number that stands for the column's present value (for text it is ``""``)."""

When = Callable[[Any, Any, Any], Any]


class Change(NamedTuple):
    """What an operation does, and when.

    Attributes:
        values: The new values, computed from the row as the operation finds it.
        where: The row-level condition; without it the operation has no effect.
    """

    values: Mapping[str, Any]
    where: Any = True


def claim_probe(row: Any, given: Any, when: When) -> Change:
    """Open and elapsed, or half_open with the lease run out or the slot free: the caller becomes the probe's owner.

    Given: now, lease, token. A repeated claim with the same token (its reply was lost) changes nothing and is
    answered like the first.
    """
    due = (row.state == OPEN) & (row.open_until <= given.now)
    lapsed = (row.state == HALF_OPEN) & (row.probe_until <= given.now)
    repeated = (row.state == HALF_OPEN) & (row.probe_token == given.token) & (row.probe_until > given.now)
    return Change(
        where=due | lapsed | repeated,
        values={
            "state": HALF_OPEN,
            "generation": when(repeated, row.generation, row.generation + 1),
            "success_count": when(row.state == OPEN, 0, row.success_count),
            "probe_token": given.token,
            "probe_until": when(repeated, row.probe_until, given.now + given.lease),
        },
    )


def record_failure(row: Any, given: Any, when: When) -> Change:
    """Count failures; closed at the threshold and half_open at once become open.

    Given: now, generation, token, failures, failure_threshold, recovery_timeout, backoff_multiplier,
    recovery_timeout_cap, stretch. An unfenced failure that arrives while the circuit is open prolongs it.
    """
    count = row.failure_count + given.failures
    trips = (row.state == HALF_OPEN) | ((row.state == CLOSED) & (count >= given.failure_threshold))
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
        },
    )


def record_success(row: Any, given: Any, when: When) -> Change:
    """Closed and dirty becomes clean; half_open becomes closed, or one successful probe nearer to it.

    Given: generation, token, success_threshold, expected. A clean closed circuit and an open one are left alone.
    """
    probing = row.state == HALF_OPEN
    closes = row.success_count + 1 >= given.success_threshold
    dirty = (row.state == CLOSED) & ((row.failure_count > 0) | (row.probe_until > 0.0))
    expected = (given.expected == ANY_STATE) | (row.state == given.expected)
    admitted = (given.generation == UNFENCED) | _permitted(row, given)
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
        },
    )


def release_probe(row: Any, given: Any, when: When) -> Change:
    """The owner gives the probe back without a verdict: the slot is free at once.

    Given: generation, token.
    """
    return Change(
        where=(row.state == HALF_OPEN) & _permitted(row, given),
        values={"generation": row.generation + 1, "probe_token": "", "probe_until": 0.0},
    )


def renew_probe(row: Any, given: Any, when: When) -> Change:
    """The owner's lease is extended; it is never shortened.

    Given: now, lease, generation, token.
    """
    return Change(
        where=(row.state == HALF_OPEN) & _permitted(row, given),
        values={"probe_until": _larger(row.probe_until, given.now + given.lease, when)},
    )


def force_open(row: Any, given: Any, when: When) -> Change:
    """Open until the later of the present deadline and now + seconds.

    Given: now, seconds.
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
        },
    )


def reset(row: Any, given: Any, when: When) -> Change:
    """Back to the default; permits given before have no effect any more."""
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
        },
    )


def replace_state(row: Any, given: Any, when: When) -> Change:
    """Overwrite what the caller names, if the state is the expected one; permits given before have no effect any more.

    Given: now, lease, token, expected, state, failure_count, last_failure_time, open_until, probe. `KEEP` (for
    text ``""``) keeps a column; probe is 1 for a probe held by ``token`` from now on, 0 for none.
    """
    claimed = given.probe == 1
    kept = given.probe == KEEP
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
        },
    )


def increment_failure(row: Any, given: Any, when: When) -> Change:
    """Count one failure and leave everything else as it is."""
    return Change(values={"failure_count": row.failure_count + 1})


def _permitted(row: Any, given: Any) -> Any:
    """Whether the permit is of this generation, and the probe's own where the circuit is not closed."""
    same = (row.generation == given.generation) & (row.probe_token == given.token)
    return same & ((row.state == CLOSED) | (given.token != ""))


def _next_open_seconds(row: Any, given: Any, when: When) -> Any:
    longer = row.open_seconds * given.backoff_multiplier
    capped = when(longer < given.recovery_timeout_cap, longer, given.recovery_timeout_cap)
    grows = (row.open_seconds > 0.0) & (given.backoff_multiplier > 1.0)
    return when(grows, capped, given.recovery_timeout)


def _larger(a: Any, b: Any, when: When) -> Any:
    return when(a > b, a, b)


Rule = Callable[[Any, Any, When], Change]


class Operation(NamedTuple):
    """A rule and how it is carried out.

    Attributes:
        rule: The rule.
        parameters: The names of what its caller gives it, in the order every backend passes them.
        creates: Whether it can have an effect on a breaker that was never written.
    """

    rule: Rule
    parameters: tuple[str, ...]
    creates: bool = False

    def __call__(self, row: Any, given: Any, when: When) -> Change:
        """Apply the rule; every change also remembers the state it found."""
        change = self.rule(row, given, when)
        return Change({"previous_state": row.state, **change.values}, change.where)


OPERATIONS: Mapping[str, Operation] = {
    "claim_probe": Operation(claim_probe, ("now", "lease", "token")),
    "record_failure": Operation(
        record_failure,
        (
            "now",
            "generation",
            "token",
            "failures",
            "failure_threshold",
            "recovery_timeout",
            "backoff_multiplier",
            "recovery_timeout_cap",
            "stretch",
        ),
        creates=True,
    ),
    "record_success": Operation(record_success, ("now", "generation", "token", "success_threshold", "expected")),
    "release_probe": Operation(release_probe, ("now", "generation", "token")),
    "renew_probe": Operation(renew_probe, ("now", "lease", "generation", "token")),
    "force_open": Operation(force_open, ("now", "seconds"), creates=True),
    "reset": Operation(reset, ("now",), creates=True),
    "replace_state": Operation(
        replace_state,
        (
            "now",
            "lease",
            "token",
            "expected",
            "state",
            "failure_count",
            "last_failure_time",
            "open_until",
            "probe",
        ),
        creates=True,
    ),
    "increment_failure": Operation(increment_failure, ("now",), creates=True),
}
"""Every operation that writes, by the one name it has in rule, SQL, Lua, method and test."""
