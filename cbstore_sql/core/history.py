"""The short history that a row keeps: its last state changes and overrides, in at most 256 bytes.

The text holds the newest entry first. An entry is ``<milliseconds><cause><from><to><label>;``: the cause
is one capital letter, ``from`` and ``to`` are the first letters of the states, and the label is up to
`LABEL_LENGTH` ASCII characters. Everything is ASCII, so that every backend counts characters and bytes alike. The text
is cut off at `HISTORY_LENGTH`, and the decoder ignores an entry that was cut.

Rules add entries through the primitive ``append``. `append` here runs on numbers; the SQL and the Lua versions produce
the same bytes.
"""

from __future__ import annotations

import os
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from cbstore_sql.core.model import STATES, State, host_name

HISTORY_LENGTH = 256
"""The longest history, in characters and in bytes."""

LABEL_LENGTH = 15
"""The longest label of an entry: eight entries then fit."""

COUNT_REACHED = "N"
SCORE_REACHED = "S"
FORCED = "F"
PROBE_CLAIMED = "Q"
PROBE_FAILED = "P"
PROBE_SUCCEEDED = "K"
RESET = "R"
REPLACED = "W"
OVERRIDE_OPEN = "X"
OVERRIDE_CLOSED = "Y"
OVERRIDE_SHADOW = "Z"
OVERRIDE_CLEARED = "U"

CAUSES = {
    COUNT_REACHED: "count",
    SCORE_REACHED: "score",
    FORCED: "forced",
    PROBE_CLAIMED: "probe_claimed",
    PROBE_FAILED: "probe_failed",
    PROBE_SUCCEEDED: "probe_succeeded",
    RESET: "reset",
    REPLACED: "replaced",
    OVERRIDE_OPEN: "override_open",
    OVERRIDE_CLOSED: "override_closed",
    OVERRIDE_SHADOW: "override_shadow",
    OVERRIDE_CLEARED: "override_cleared",
}
"""By the letter in the text: the cause as `HistoryEntry` names it."""

OVERRIDE_CAUSES = {"open": OVERRIDE_OPEN, "closed": OVERRIDE_CLOSED, "shadow": OVERRIDE_SHADOW}
"""By the mode of an override: the letter of its entry."""

_BY_LETTER = {state[0]: State(state) for state in STATES}
_ENTRY = re.compile(r"([0-9]+)([A-Z])([a-z])([a-z])([^;]*);", re.ASCII)
_UNSAFE = re.compile(r"[^ -:<-~]", re.ASCII)


class HistoryEntry(NamedTuple):
    """One state change or override of a breaker.

    Attributes:
        at: When it happened, Unix seconds by the store's clock, to the millisecond.
        previous_state: The state before.
        state: The state after; the same one for overrides.
        cause: ``count`` or ``score`` (the policy tripped), ``probe_claimed``, ``probe_failed``, ``probe_succeeded``,
            ``forced``, ``reset``, ``replaced`` (written through the dictionary protocol), ``override_open``,
            ``override_closed``, ``override_shadow`` or ``override_cleared``.
        by: Who made the change: the end of ``host/process id``, or the name the caller gave. At most
            `LABEL_LENGTH` characters.
    """

    at: float
    previous_state: State
    state: State
    cause: str
    by: str


def append(history: str, now: float, before: str, after: str, cause: str, label: str) -> str:  # noqa: PLR0917
    """Return a history with one more entry; the rules call this in place of the SQL and Lua versions.

    Args:
        history: The text so far.
        now: Unix seconds.
        before: The state before, a value of `State`.
        after: The state after.
        cause: A key of `CAUSES`.
        label: Who; see `entry_label`.
    """
    return f"{int(now * 1000)}{cause}{before[:1]}{after[:1]}{label};{history}"[:HISTORY_LENGTH]


def decode_history(text: str) -> tuple[HistoryEntry, ...]:
    """Decode a history, oldest entry first. What is not an entry (cut off, or damaged) is skipped."""
    entries = []
    for time, cause, before, after, label in _ENTRY.findall(text):
        if cause in CAUSES and before in _BY_LETTER and after in _BY_LETTER:
            states = _BY_LETTER[before], _BY_LETTER[after]
            entries.append(HistoryEntry(int(time) / 1000, *states, CAUSES[cause], label))
    return tuple(reversed(entries))


def entry_label(by: str | None = None) -> str:
    """Return the label of an entry: a name reduced to ASCII and shortened, or this process for ``None``.

    Of this process, ``host/process id``, the end is kept: it is what tells the instances of a service apart.
    """
    if by is None:
        return _label_of(os.getpid())
    plain = unicodedata.normalize("NFKD", by)
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return _UNSAFE.sub("?", letters)[:LABEL_LENGTH]


@lru_cache(maxsize=1)
def _label_of(process_id: int) -> str:
    return _UNSAFE.sub("?", f"{host_name()}/{process_id}")[-LABEL_LENGTH:]
