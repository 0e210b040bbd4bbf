"""Rules as SQL: what is known when a statement is written is decided then, and only the rest stands in it.

A rule answers every case, and PostgreSQL sets all of it up anew for each execution, which is a tenth of what a counted
failure costs it. The statements that are carried out most therefore have shorter forms, in which some of what the rule
is given is fixed; it is the same rule that runs on what is fixed and on what is not.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from cbstore_sql.core.rules import ANY_STATE, CLOSED, UNFENCED


class Specialization(NamedTuple):
    """A case of an operation.

    Attributes:
        fixed: What is given in it, by name.
        excluded: What is not given in it, by name.
        state: The state that the rule's condition demands in it, ``None`` if there is no one.
    """

    fixed: Mapping[str, Any] = {}
    excluded: Mapping[str, Any] = {}
    state: str | None = None


GENERAL = Specialization()
"""Nothing is known."""

# Without open times that grow, which need to know the last one.
_FIXED = {"token": "", "expected": ANY_STATE, "backoff_multiplier": 1.0}

SPECIALIZATIONS: Mapping[str, Specialization] = {
    # The permit of a closed circuit is worth nothing in another state.
    "closed": Specialization(_FIXED, {"generation": UNFENCED}, CLOSED),
    "by_name": Specialization({**_FIXED, "generation": UNFENCED}),
}
"""The shorter ones, by the name they have beside the operation's."""

SHORTENED = ("record_failure", "record_success")
"""The operations that have them: the reports of guarded calls."""


def specialization_for(operation: str, given: Mapping[str, Any]) -> str | None:
    """Return the name of the form that a command has, ``None`` if it has none."""
    if operation not in SHORTENED:
        return None
    for name, value in _FIXED.items():
        if given.get(name, value) != value:
            return None
    return "by_name" if given["generation"] == UNFENCED else "closed"


def plain(value: Any) -> Any:
    """Return what a term stands for; anything else is what it is."""
    return value.value if isinstance(value, Value) else value


def _combining(combine: Callable[[Any, Any], Any]) -> Any:
    return lambda self, other: Value(combine(self.value, plain(other)))


class Value:
    """A value in a rule: known, or an expression of SQL.

    Args:
        value: The one or the other.
        excluded: A value that the expression never has.
    """

    __hash__ = None  # type: ignore[assignment] # it is compared as a column is

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
    __add__ = _combining(operator.add)
    __mul__ = _combining(operator.mul)

    def __and__(self, other: Any) -> Value:
        return _either(self.value, plain(other), decisive=False) or Value(self.value & plain(other))

    def __or__(self, other: Any) -> Value:
        return _either(self.value, plain(other), decisive=True) or Value(self.value | plain(other))


def _either(a: Any, b: Any, *, decisive: bool) -> Value | None:
    """Return which of two conditions is as good as both, ``None`` if neither is known."""
    for known, other in ((a, b), (b, a)):
        if isinstance(known, bool):
            return Value(known if known is decisive else other)
    return None


def choose(condition: Any, a: Any, b: Any) -> Any:
    """Be a rule's ``when``."""
    condition = plain(condition)
    if isinstance(condition, bool):
        return a if condition else b
    # Two expressions are equal here where they are one and the same.
    return a if plain(a) == plain(b) else Value(sa.case((condition, plain(a)), else_=plain(b)))
