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
    """A state change or an override of a breaker.

    Attributes:
        at: The moment of the change, Unix seconds by the store's clock, to the millisecond.
        previous_state: The state before the change.
        state: The state after the change. An override does not change the state.
        cause: ``count`` or ``score`` (the policy tripped), ``probe_claimed``, ``probe_failed``, ``probe_succeeded``,
            ``forced``, ``reset``, ``replaced`` (written through the dictionary protocol), ``override_open``,
            ``override_closed``, ``override_shadow`` or ``override_cleared``.
        by: Who made the change: the end of ``host/process id``, or the name that the caller passed. At most
            `LABEL_LENGTH` characters.
    """

    at: float
    previous_state: State
    state: State
    cause: str
    by: str


def append(history: str, now: float, before: str, after: str, cause: str, label: str) -> str:  # noqa: PLR0917
    """Return a history with one more entry; the rules call this function where SQL and Lua have their own versions.

    Args:
        history: The text before the change.
        now: The moment of the change, Unix seconds.
        before: The state before the change, a value of `State`.
        after: The state after the change, a value of `State`.
        cause: A key of `CAUSES`.
        label: Who made the change; see `entry_label`.
    """
    return f"{int(now * 1000)}{cause}{before[:1]}{after[:1]}{label};{history}"[:HISTORY_LENGTH]


def decode_history(text: str) -> tuple[HistoryEntry, ...]:
    """Return the entries of a history, oldest first.

    The function skips a part of the text that is not a valid entry, because it was cut off or is damaged.

    Args:
        text: The history as the row holds it.
    """
    entries = []
    for time, cause, before, after, label in _ENTRY.findall(text):
        if cause in CAUSES and before in _BY_LETTER and after in _BY_LETTER:
            states = _BY_LETTER[before], _BY_LETTER[after]
            entries.append(HistoryEntry(int(time) / 1000, *states, CAUSES[cause], label))
    return tuple(reversed(entries))


def entry_label(by: str | None = None) -> str:
    """Return the label of an entry: at most `LABEL_LENGTH` ASCII characters that say who made a change.

    Args:
        by: The name of the author, which the function reduces to ASCII and shortens. ``None`` means this process: the
            end of ``host/process id``, because the end differs between the instances of a service.
    """
    if by is None:
        return _label_of(os.getpid())
    plain = unicodedata.normalize("NFKD", by)
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return _UNSAFE.sub("?", letters)[:LABEL_LENGTH]


@lru_cache(maxsize=1)
def _label_of(process_id: int) -> str:
    return _UNSAFE.sub("?", f"{host_name()}/{process_id}")[-LABEL_LENGTH:]
