"""How a rule becomes SQL: Python computes what is known in advance, and only the rest becomes SQL text.

A rule covers every case. PostgreSQL prepares all expressions of a statement for each execution, and this takes a tenth
of the time of counting a failure. So the statements that run most often have shorter variants, in which some parameters
are fixed. The same rule produces each variant from the fixed parameters and the other parameters.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from cbstore_sql.core.rules import ANY_STATE, BY_COUNT, BY_SCORE, CLOSED, UNFENCED
from cbstore_sql.stores.sql.schema.functions import first_letter, with_entry


class Specialization(NamedTuple):
    """A special case of an operation, in which some parameters and columns have values that are known in advance.

    For each special case, the store has a shorter SQL statement.

    Attributes:
        fixed: The values of the known parameters, by name.
        excluded: For the name of a parameter, a value that the parameter does not have in this case.
        row: The values, by column, that the row must have. The statement checks these values in its WHERE clause.
        implied: The values, by column, that every row with the values of ``row`` has. The statement does not check
            them.
    """

    fixed: Mapping[str, Any] = {}
    excluded: Mapping[str, Any] = {}
    row: Mapping[str, Any] = {}
    implied: Mapping[str, Any] = {}


GENERAL = Specialization()
"""The general case, in which no parameter and no column has a known value."""

# The shorter variants are for a constant open time only. A growing open time depends on the previous one, in the row.
_FIXED = {"token": "", "expected": ANY_STATE, "backoff_multiplier": 1.0}

# The permit of a closed circuit has no token, and has no effect in another state. A row without a token has no lease.
_CLOSED = {"state": CLOSED, "probe_token": ""}
_TARGETS = {
    "closed": Specialization(_FIXED, {"generation": UNFENCED}, _CLOSED, {"probe_until": 0.0}),
    "by_name": Specialization({**_FIXED, "generation": UNFENCED}),
}
_TESTS = {"": {"test": BY_COUNT, "trips_alone": 0}, ".score": {"test": BY_SCORE, "trips_alone": 0}}
_CARRIED = ".carried"


def _by_test(specializations: Mapping[str, Specialization]) -> Mapping[str, Specialization]:
    return {
        f"{name}{test}": base._replace(fixed={**base.fixed, **known})
        for name, base in specializations.items()
        for test, known in _TESTS.items()
    }


def _by_successes(specializations: Mapping[str, Specialization]) -> Mapping[str, Specialization]:
    nothing = {"successes": 0, "relief": 0.0}
    alone = {name: base._replace(fixed={**base.fixed, **nothing}) for name, base in specializations.items()}
    carried = {
        f"{name}{_CARRIED}": base._replace(excluded={**base.excluded, "successes": 0})
        for name, base in specializations.items()
    }
    return {**alone, **carried}


SPECIALIZATIONS: Mapping[str, Mapping[str, Specialization]] = {
    "record_failure": _by_successes(_by_test(_TARGETS)),
    "record_success": _by_test(_TARGETS),
}
"""The shorter variants of each operation, by their names. Only the reports of guarded calls have shorter variants."""

# These parameters have the same value in every variant.
_REQUIRED = {**_FIXED, "trips_alone": 0}


def specialization_for(operation: str, given: Mapping[str, Any]) -> str | None:
    """Return the name of the shorter statement that fits a command; ``None`` if only the general statement fits.

    Args:
        operation: The operation of the command.
        given: The parameters of the command, by name.
    """
    if operation not in SPECIALIZATIONS:
        return None
    for name, value in _REQUIRED.items():
        if given.get(name, value) != value:
            return None
    target = "by_name" if given["generation"] == UNFENCED else "closed"
    test = ".score" if given["test"] == BY_SCORE else ""
    return f"{target}{test}{_CARRIED if given.get('successes') else ''}"


def plain(value: Any) -> Any:
    """Return the constant or SQL expression inside a `Value`. Return any other object unchanged.

    Args:
        value: A `Value`, a constant or an SQL expression.
    """
    return value.value if isinstance(value, Value) else value


def _combining(combine: Callable[[Any, Any], Any]) -> Any:
    return lambda self, other: Value(combine(self.value, plain(other)))


class Value:
    """A value that a rule computes with: a known constant or an SQL expression.

    Its operators compute with constants at once, and write SQL only where a value is not known.

    Args:
        value: The constant or the SQL expression.
        excluded: A value that the SQL expression never has; ``None`` if there is no such value.

    Attributes:
        value: The constant or the SQL expression.
    """

    __hash__ = None  # type: ignore[assignment] # a comparison returns an SQL expression, as with a column

    def __init__(self, value: Any, excluded: Any = None) -> None:
        self.value = value
        self._excluded = excluded

    def __eq__(self, other: object) -> Any:
        if self._excluded is not None and self._excluded == other:
            return Value(False)
        return Value(self.value == plain(other))

    __ne__ = _combining(operator.ne)
    __lt__ = _combining(operator.lt)
    __le__ = _combining(operator.le)
    __gt__ = _combining(operator.gt)
    __ge__ = _combining(operator.ge)
    __radd__ = _combining(operator.add)
    __mul__ = _combining(operator.mul)

    def __add__(self, other: Any) -> Value:
        return self if _is_zero(other) else Value(self.value + plain(other))

    def __sub__(self, other: Any) -> Value:
        return self if _is_zero(other) else Value(self.value - plain(other))

    def __and__(self, other: Any) -> Value:
        return _either(self.value, plain(other), decisive=False) or Value(self.value & plain(other))

    def __or__(self, other: Any) -> Value:
        return _either(self.value, plain(other), decisive=True) or Value(self.value | plain(other))


def _is_zero(value: Any) -> bool:
    value = plain(value)
    return isinstance(value, (int, float)) and value == 0


def _either(a: Any, b: Any, *, decisive: bool) -> Value | None:
    """Return the result of AND or OR of two conditions; ``None`` if the database must compute the result.

    Args:
        a: A condition: a bool or an SQL expression.
        b: The second condition: a bool or an SQL expression.
        decisive: The value of one condition that determines the result: ``False`` for AND, ``True`` for OR.
    """
    for known, other in ((a, b), (b, a)):
        if isinstance(known, bool):
            return Value(known if known is decisive else other)
    return None


def choose(condition: Any, a: Any, b: Any) -> Any:
    """Return ``a`` if a condition is true, else ``b``. Rules receive this function as ``when``.

    Args:
        condition: A bool or an SQL expression.
        a: The result if the condition is true.
        b: The result if the condition is false.

    Returns:
        ``a`` or ``b`` if the condition is a bool or if ``a`` and ``b`` are the same; otherwise an SQL CASE expression.
    """
    condition = plain(condition)
    if isinstance(condition, bool):
        return a if condition else b
    # Two SQL expressions are equal in this comparison only if they are the same object.
    return a if plain(a) == plain(b) else Value(sa.case((condition, plain(a)), else_=plain(b)))


def append(history: Any, now: Any, before: Any, after: Any, cause: Any, label: Any) -> Value:  # noqa: PLR0917
    """Return an SQL expression for a breaker's history with a new entry. Rules receive this function as ``append``.

    Each argument is a constant, an SQL expression or a `Value`.

    Args:
        history: The history before the change.
        now: The time of the change, Unix seconds.
        before: The state before the change.
        after: The state after the change.
        cause: Why the change is made, a key of `cbstore_sql.core.history.CAUSES`.
        label: Who makes the change.
    """
    texts = [plain(cause), _letter(before), _letter(after)]
    if all(isinstance(text, str) for text in texts):
        texts = ["".join(texts)]
    clauses = [sa.literal(text) if isinstance(text, str) else text for text in (*texts, plain(label))]
    return Value(with_entry(plain(now), *clauses, sa.literal(";"), _expression(plain(history))))


def _letter(state: Any) -> Any:
    state = plain(state)
    return state[:1] if isinstance(state, str) else first_letter(state)


def _expression(value: Any) -> Any:
    return sa.literal(value) if isinstance(value, str) else value
