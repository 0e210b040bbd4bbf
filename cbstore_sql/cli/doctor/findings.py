"""What a check found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum


class Level(str, Enum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    """It works; the text says what follows."""
    WRONG = "wrong"
    """Breakers fail, lose state or slow down because of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: What was looked at.
        level: How much it matters.
        text: What was found.
        advice: What to do; ``""`` for nothing.
    """

    check: str
    level: Level
    text: str
    advice: str = ""


def ok(check: str, text: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(check, Level.OK, text)


def note(check: str, text: str, advice: str = "") -> Finding:
    """Return a finding that the reader should know about."""
    return Finding(check, Level.NOTE, text, advice)


def wrong(check: str, text: str, advice: str) -> Finding:
    """Return a finding that needs action."""
    return Finding(check, Level.WRONG, text, advice)


Check = Callable[[], Finding]


def each(checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Make every check; one that the database refuses becomes a note that names the error's class."""
    for name, check in checks:
        try:
            yield check()
        except Exception as error:  # noqa: BLE001 - a driver's, of which the text may hold secrets
            yield note(name, f"could not be checked ({type(error).__name__})")
