"""The state machine: the only definition of the operations, which all backends share.

Each function is one operation. It makes a `Change` from a breaker's row and the caller's parameters. A `Change` has the
condition under which the operation has an effect, and the new values of the columns that the operation sets. The same
functions run on numbers (memory, Redis without scripting) and on SQL columns and bind parameters. In SQL the result
becomes ``UPDATE … SET values WHERE condition RETURNING …``. The Lua files mirror the functions name by name.

Because a rule runs on both, a rule may use only operators, ``&``, ``|``, ``when(condition, a, b)`` and
``append(history, now, before, after, cause, label)``. A test over the syntax tree of this file enforces this. Python's
``and``, ``or``, ``not``, ``if``, ``~`` and chained comparisons silently have another meaning in SQL. ``when`` evaluates
both branches. No column is NULL.

One SQL statement may read the clock (``given.now``) more than once, so no rule may depend on two equal readings.

``append`` adds an entry to the short history of the row (`core.history`). A rule uses ``append`` where the rule changes
the state or the override, and nowhere else.

All rules have the same arguments:

* ``row``: the columns of one breaker before the operation.
* ``given``: the checked parameters of the operation (`core.commands`). The docstring of each rule lists them.
* ``when``: the function ``when(condition, a, b)`` of the backend. It returns ``a`` if the condition holds, else ``b``.
* ``append``: the function of the backend that adds an entry to the history.
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
"""The parameter ``generation`` of a report without a permit, which counts in every generation."""

ANY_STATE = ""
"""The parameter ``expected`` of an operation that has an effect in every state."""

KEEP = -1
"""In `replace_state`, the number that keeps the column's present value. For a text column, ``""`` keeps the value."""

BY_COUNT = "count"
"""The test of a policy that trips when the failures in a row reach a threshold."""

BY_SCORE = "score"
"""The test of a `FailureRate` policy, which trips when the score reaches `TRIP_AT`."""

TRIP_AT = 1.0 - 1e-9
"""The share of the limit at which the circuit trips. It is a little below 1, because sums of floats lose precision."""

When = Callable[[Any, Any, Any], Any]
Append = Callable[[Any, Any, Any, Any, Any, Any], Any]


class Change(NamedTuple):
    """What one operation does to a row: the new values, and the condition under which a store writes them.

    Attributes:
        values: The new values of the columns, by column. Columns that are missing keep their values.
        where: The condition on the row before the operation. If it does not hold, the operation has no effect.
    """

    values: dict[str, Any]
    where: Any = True


def claim_probe(row: Any, given: Any, when: When, append: Append) -> Change:
    """Compute the change that makes a caller the owner of the probe, the one call that tests the dependency.

    The claim succeeds if the circuit is open and the open time has ended. It also succeeds if the circuit is half_open
    and no owner has a lease (the time for which the probe belongs to its owner). A hold (a pause that the dependency
    asked for) or the override ``open`` forbids the claim. The override ``closed`` ignores holds. If the reply was lost,
    a caller may repeat the claim with the same token: the second claim changes nothing and has the same answer.

    Args:
        row: The columns of the breaker before the operation.
        given: The parameters as attributes: ``now`` (Unix seconds), ``lease`` (seconds), ``token`` (identifies the
            caller) and ``label`` (the author in the history).
        when: The backend's function ``when(condition, a, b)``: it returns ``a`` if the condition holds, else ``b``.
        append: The backend's function that returns a history with one more entry.
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
    """Compute the change that counts failures and opens the circuit if it is half_open or the policy says so.

    The rule first applies the successes of the report, which came before the failures.

    Under a policy without ``trip``, the circuit opens when the failures in a row reach the threshold. Under a policy
    with ``trip``, it opens when the score reaches 1. A score that was written in an earlier generation counts as 0. A
    failure that is reported by name, without a permit, prolongs the open time of an open circuit.

    The SQL statement repeats the condition many times. So the caller computes two parameters in advance: ``enough``,
    the lowest score from which the report opens the circuit, and ``trips_alone``, which is 1 if the report opens the
    circuit from every score.

    Args:
        row: The columns of the breaker before the operation.
        given: The parameters as attributes: ``now`` (Unix seconds), ``generation`` and ``token`` (of the permit),
            ``failures``, ``successes``, ``test`` (`BY_COUNT` or `BY_SCORE`), ``failure_threshold``, ``evidence`` and
            ``relief`` (how much the report raises and lowers the score), ``enough``, ``trips_alone``,
            ``recovery_timeout`` (seconds), ``backoff_multiplier``, ``recovery_timeout_cap`` (seconds), ``stretch`` (1
            plus the jitter) and ``label`` (the author in the history).
        when: The backend's function ``when(condition, a, b)``: it returns ``a`` if the condition holds, else ``b``.
        append: The backend's function that returns a history with one more entry.
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
    """Compute the change that counts a success: it clears failures, or brings a half-open circuit closer to closed.

    In a closed circuit, a success sets the number of failures in a row to 0 and lowers the score. In a half-open
    circuit, it is a successful probe; the circuit closes when their number reaches ``success_threshold``. A success
    changes nothing if the circuit is open, or if a closed circuit has nothing to clear or lower.

    Args:
        row: The columns of the breaker before the operation.
        given: The parameters as attributes: ``now`` (Unix seconds), ``generation`` and ``token`` (of the permit),
            ``success_threshold``, ``expected`` (the state in which the success counts, or `ANY_STATE`), ``test``
            (`BY_COUNT` or `BY_SCORE`), ``relief`` (how much the report lowers the score) and ``label`` (the author in
            the history).
        when: The backend's function ``when(condition, a, b)``: it returns ``a`` if the condition holds, else ``b``.
        append: The backend's function that returns a history with one more entry.
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
    """Compute the change by which the owner gives up the probe without a result. Another caller may claim it at once.

    Args:
        row: The columns of the breaker before the operation.
        given: The parameters as attributes: ``generation`` and ``token`` of the owner's permit.
        when: The backend's function ``when(condition, a, b)``: it returns ``a`` if the condition holds, else ``b``.
        append: The backend's function that returns a history with one more entry.
    """
    return Change(
        where=(row.state == HALF_OPEN) & _permitted(row, given),
        values={"generation": row.generation + 1, "probe_token": "", "probe_until": 0.0},
    )


def renew_probe(row: Any, given: Any, when: When, append: Append) -> Change:
    """Compute the change by which the owner keeps the probe until now + ``lease``, or until the present end if later.

    Args:
        row: The columns of the breaker before the operation.
        given: The parameters as attributes: ``now`` (Unix seconds), ``lease`` (seconds), and ``generation`` and
            ``token`` of the owner's permit.
        when: The backend's function ``when(condition, a, b)``: it returns ``a`` if the condition holds, else ``b``.
        append: The backend's function that returns a history with one more entry.
    """
    return Change(
        where=(row.state == HALF_OPEN) & _permitted(row, given),
        values={"probe_until": _larger(row.probe_until, given.now + given.lease, when)},
    )


def force_open(row: Any, given: Any, when: When, append: Append) -> Change:
    """Compute the change that opens the circuit until now + ``seconds``, or until the present end if that is later.

    Args:
        row: The columns of the breaker before the operation.
        given: The parameters as attributes: ``now`` (Unix seconds), ``seconds`` and ``label`` (the author in the
            history).
        when: The backend's function ``when(condition, a, b)``: it returns ``a`` if the condition holds, else ``b``.
        append: The backend's function that returns a history with one more entry.
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
    """Compute the change that closes the circuit and clears all counts, the score and the hold. An override stays.

    The change starts a new generation, so reports with earlier permits have no effect. No ramp (a growing share of
    calls) follows.

    Args:
        row: The columns of the breaker before the operation.
        given: The parameters as attributes: ``now`` (Unix seconds) and ``label`` (the author in the history).
        when: The backend's function ``when(condition, a, b)``: it returns ``a`` if the condition holds, else ``b``.
        append: The backend's function that returns a history with one more entry.
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
    """Compute the change that makes every process refuse calls before now + ``seconds``. The state does not change.

    A new hold never shortens an earlier hold.

    Args:
        row: The columns of the breaker before the operation.
        given: The parameters as attributes: ``now`` (Unix seconds) and ``seconds``.
        when: The backend's function ``when(condition, a, b)``: it returns ``a`` if the condition holds, else ``b``.
        append: The backend's function that returns a history with one more entry.
    """
    return Change(values={"hold_until": _larger(row.hold_until, given.now + given.seconds, when)})


def set_override(row: Any, given: Any, when: When, append: Append) -> Change:
    """Compute the change that sets an override, the setting by which an operator opens, closes or shadows a breaker.

    The state does not change, and outcomes of calls still count.

    Args:
        row: The columns of the breaker before the operation.
        given: The parameters as attributes: ``now`` (Unix seconds), ``mode`` (``"open"``, ``"closed"`` or
            ``"shadow"``), ``seconds`` (0 means until `clear_override`), ``by``, ``reason`` and ``label`` (the author in
            the history).
        when: The backend's function ``when(condition, a, b)``: it returns ``a`` if the condition holds, else ``b``.
        append: The backend's function that returns a history with one more entry.
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
    """Compute the change that removes the override (the setting of an operator). Without an override, nothing changes.

    Args:
        row: The columns of the breaker before the operation.
        given: The parameters as attributes: ``now`` (Unix seconds) and ``label`` (the author in the history).
        when: The backend's function ``when(condition, a, b)``: it returns ``a`` if the condition holds, else ``b``.
        append: The backend's function that returns a history with one more entry.
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
    """Compute the change that overwrites some fields, if the breaker is in the state that the caller expects.

    The change starts a new generation, so reports with earlier permits have no effect.

    Args:
        row: The columns of the breaker before the operation.
        given: The parameters as attributes: ``now`` (Unix seconds), ``lease`` (seconds), ``token``, ``expected`` (a
            state or `ANY_STATE`), ``state``, ``failure_count``, ``last_failure_time``, ``open_until``, ``probe`` and
            ``label`` (the author in the history). A field keeps its value if its parameter is `KEEP` (``""`` for
            ``state``). ``probe`` is 1 to make ``token`` the owner of the probe, and 0 to free the probe.
        when: The backend's function ``when(condition, a, b)``: it returns ``a`` if the condition holds, else ``b``.
        append: The backend's function that returns a history with one more entry.
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
    """Compute the change that adds 1 to the failure count and changes nothing else.

    Args:
        row: The columns of the breaker before the operation.
        given: The parameters as attributes: ``now``, which the rule does not use.
        when: The function ``when(condition, a, b)`` of the backend; not used.
        append: The function of the backend that adds an entry to the history; not used.
    """
    return Change(values={"failure_count": row.failure_count + 1})


def _permitted(row: Any, given: Any) -> Any:
    """Return whether a permit still counts: it has the row's generation and token.

    Unless the circuit is closed, the permit must also be that of the probe's owner.
    """
    same = (row.generation == given.generation) & (row.probe_token == given.token)
    return same & ((row.state == CLOSED) | (given.token != ""))


def _next_open_seconds(row: Any, given: Any, when: When) -> Any:
    longer = row.open_seconds * given.backoff_multiplier
    capped = when(longer < given.recovery_timeout_cap, longer, given.recovery_timeout_cap)
    grows = (row.open_seconds > 0.0) & (given.backoff_multiplier > 1.0)
    return when(grows, capped, given.recovery_timeout)


def _lowered(row: Any, given: Any, when: When) -> Any:
    """Return the score after the successes of a report. A score that an earlier generation wrote counts as 0."""
    lowers = (row.score_generation == row.generation) & (row.score > given.relief)
    return when(lowers, row.score - given.relief, 0.0)


def _larger(a: Any, b: Any, when: When) -> Any:
    return when(a > b, a, b)


Rule = Callable[[Any, Any, When, Append], Change]


class Operation(NamedTuple):
    """One operation that writes: its rule, and what a backend must know to run the rule.

    Attributes:
        rule: The function that computes the `Change` from a row and the parameters.
        parameters: The names of the rule's parameters, in the order in which every backend passes them.
        creates: Whether the operation can have an effect on a breaker that has no row.
    """

    rule: Rule
    parameters: tuple[str, ...]
    creates: bool = False

    def __call__(self, row: Any, given: Any, when: When, append: Append) -> Change:
        """Compute the change of the rule, with the state before the operation as the value of ``previous_state``.

        The arguments are those of every rule; the module describes them.
        """
        change = self.rule(row, given, when, append)
        change.values["previous_state"] = row.state
        return change


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
"""Every operation that writes, by name. The rules, SQL, Lua, methods and tests use the same names."""
