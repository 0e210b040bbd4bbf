"""The results of checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum


class Level(str, Enum):
    """The importance of a finding.

    Attributes:
        OK: The check found no problem.
        NOTE: Breakers work. The finding's text names a consequence that the user should know.
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
    """Return a finding that needs no action.

    Args:
        check: The name of the check.
        text: What the check found.
    """
    return Finding(check, Level.OK, text)


def note(check: str, text: str, advice: str = "") -> Finding:
    """Return a finding that the user should know.

    Args:
        check: The name of the check.
        text: What the check found.
        advice: What the user can do, or ``""`` if the user cannot do anything.
    """
    return Finding(check, Level.NOTE, text, advice)


def wrong(check: str, text: str, advice: str) -> Finding:
    """Return a finding that needs action.

    Args:
        check: The name of the check.
        text: What the check found.
        advice: What the user should do.
    """
    return Finding(check, Level.WRONG, text, advice)


Check = Callable[[], Finding]


def each(checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Run all checks and yield their findings.

    A check that raises becomes a note that names only the class of the error.

    Args:
        checks: Pairs of a check's name and the check.
    """
    for name, check in checks:
        try:
            yield check()
        except Exception as error:  # noqa: BLE001 - a driver's error, whose text may contain secrets
            yield note(name, f"could not be checked ({type(error).__name__})")
