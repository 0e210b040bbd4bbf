"""The results of the checks of ``cbstore doctor``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum


class Level(str, Enum):
    """The importance of a finding.

    Attributes:
        OK: The check found no problem.
        NOTE: Breakers work, but the finding has a consequence that the user should know. The finding's text names it.
        WRONG: Breakers fail, lose state or become slow because of the finding.
    """

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: The name of the check.
        level: The importance of the finding.
        text: What the check found.
        advice: What the user should do, or ``""`` if the user need not do anything.
    """

    check: str
    level: Level
    text: str
    advice: str = ""


def ok(check: str, text: str) -> Finding:
    """Return a finding of the level `Level.OK`: the check found no problem.

    Args:
        check: The name of the check.
        text: What the check found.
    """
    return Finding(check, Level.OK, text)


def note(check: str, text: str, advice: str = "") -> Finding:
    """Return a finding of the level `Level.NOTE`: breakers work, but the user should know a consequence.

    Args:
        check: The name of the check.
        text: What the check found.
        advice: What the user can do, or ``""`` if the user cannot do anything.
    """
    return Finding(check, Level.NOTE, text, advice)


def wrong(check: str, text: str, advice: str) -> Finding:
    """Return a finding of the level `Level.WRONG`: the user should act.

    Args:
        check: The name of the check.
        text: What the check found.
        advice: What the user should do.
    """
    return Finding(check, Level.WRONG, text, advice)


Check = Callable[[], Finding]

# The SQLSTATEs of PostgreSQL for a schema and for a table that do not exist.
_NO_TABLE = frozenset({"3F000", "42P01"})


def each(checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Run checks and yield their findings in the same order.

    If a check raises an error, this function yields a finding of the level `Level.NOTE` instead. The finding contains
    the class of the error, but not its message.

    Args:
        checks: Pairs of a check's name and the check. A check is a function that returns a finding.
    """
    for name, check in checks:
        try:
            yield check()
        except Exception as error:  # noqa: BLE001 - a driver's error, whose text may contain secrets
            missing = getattr(error, "sqlstate", None) in _NO_TABLE
            yield note(name, "not checked: there is no table" if missing else f"not checked ({type(error).__name__})")
