"""The short history that a row keeps: the last state changes and overrides, in at most 256 bytes.

The text holds the newest entry first. An entry is ``<milliseconds><cause><from><to><label>;``. The cause is one capital
letter. ``from`` and ``to`` are the first letters of the states. The label is at most `LABEL_LENGTH` characters long.
Everything is ASCII, so every backend counts the same number of characters and bytes. The text is cut off at
`HISTORY_LENGTH`, and the decoder ignores an entry that was cut.

Rules add entries through the primitive ``append``. The function `append` in this module runs on numbers; the SQL and
Lua versions of ``append`` produce the same bytes.
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
"""The longest label of an entry, in characters. Eight entries with such labels fit into a history."""

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
"""The causes, by their letters in the text; `HistoryEntry.cause` has the long name."""

OVERRIDE_CAUSES = {"open": OVERRIDE_OPEN, "closed": OVERRIDE_CLOSED, "shadow": OVERRIDE_SHADOW}
"""The letters of the causes of overrides, by mode."""

_BY_LETTER = {state[0]: State(state) for state in STATES}
_ENTRY = re.compile(r"([0-9]+)([A-Z])([a-z])([a-z])([^;]*);", re.ASCII)
_UNSAFE = re.compile(r"[^ -:<-~]", re.ASCII)


class HistoryEntry(NamedTuple):
    """One recorded change of a breaker: a change of state, or an override that an operator set or removed.

    Attributes:
        at: The moment of the change, Unix seconds by the store's clock, exact to the millisecond.
        previous_state: The state before the change.
        state: The state after the change. It equals ``previous_state`` if the change is an override.
        cause: Why the state changed: ``count`` or ``score`` (the policy opened the circuit), ``probe_claimed``,
            ``probe_failed``, ``probe_succeeded``, ``forced`` (opened by ``force_open``), ``reset``, or ``replaced``
            (written through MassGen's store methods). For an override: ``override_open``, ``override_closed``,
            ``override_shadow`` or ``override_cleared``.
        by: Who made the change: the end of ``host/process id``, or the name that the caller passed. At most
            `LABEL_LENGTH` characters.
    """

    at: float
    previous_state: State
    state: State
    cause: str
    by: str


def append(history: str, now: float, before: str, after: str, cause: str, label: str) -> str:  # noqa: PLR0917
    """Return a breaker's history text with a new entry in front, cut off at `HISTORY_LENGTH` characters.

    Stores that run the rules in Python use this function. SQL and Lua have their own versions with the same result.

    Args:
        history: The history text before the change.
        now: The moment of the change, Unix seconds.
        before: The state before the change, a value of `State`.
        after: The state after the change, a value of `State`.
        cause: Why the change was made, a key of `CAUSES`.
        label: Who made the change; see `entry_label`.
    """
    return f"{int(now * 1000)}{cause}{before[:1]}{after[:1]}{label};{history}"[:HISTORY_LENGTH]


def decode_history(text: str) -> tuple[HistoryEntry, ...]:
    """Parse the history text of a row and return its entries, oldest first.

    The function leaves out entries that are damaged or were cut off at the end of the text.

    Args:
        text: The history as the row holds it. ``""`` gives no entries.
    """
    entries = []
    for time, cause, before, after, label in _ENTRY.findall(text):
        if cause in CAUSES and before in _BY_LETTER and after in _BY_LETTER:
            states = _BY_LETTER[before], _BY_LETTER[after]
            entries.append(HistoryEntry(int(time) / 1000, *states, CAUSES[cause], label))
    return tuple(reversed(entries))


def entry_label(by: str | None = None) -> str:
    """Return the text that names the author of a change in the history: at most `LABEL_LENGTH` ASCII characters.

    Args:
        by: The author's name, which the function converts to ASCII and shortens. ``None`` means this process: the last
            characters of ``host/process id``, because these differ between the instances of a service.
    """
    if by is None:
        return _label_of(os.getpid())
    plain = unicodedata.normalize("NFKD", by)
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return _UNSAFE.sub("?", letters)[:LABEL_LENGTH]


@lru_cache(maxsize=1)
def _label_of(process_id: int) -> str:
    return _UNSAFE.sub("?", f"{host_name()}/{process_id}")[-LABEL_LENGTH:]
