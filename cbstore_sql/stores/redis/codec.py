"""The hash that holds a breaker, and how to decode it.

The fields ``state``, ``failure_count``, ``last_failure_time``, ``open_until`` and ``half_open_probe_active`` (``True``
or ``False``) are those of MassGen's ``RedisStore``, so that its clients and ours can share a key. The hash has the
other columns of `Row` as well, and ``written``, which repeats the state, the deadline and the probe as we last wrote
them. If these no longer match, a foreign client has changed the breaker, and it reads as one of a new generation:
older permits are stale, and a probe that shows as active belongs to `FOREIGN_TOKEN` with no known end. A foreign client
that only counted changes neither, like a count of ours.

No content of a hash is an error. A number that is missing, not a plain decimal, not whole where it must be, or out of
range reads as 0; an unknown state as closed; an unknown override as none; text that is not UTF-8 with replacement
characters. Unknown fields are left alone. Mirrored by ``_hash.lua``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any
from urllib.parse import unquote

from cbstore_sql.core.model import ANSWER_COLUMNS, COLUMNS, OVERRIDES, STATES, Row
from cbstore_sql.core.rules import CLOSED, HALF_OPEN, OPEN
from cbstore_sql.core.validation import MAX_COUNT

INTEGER_FIELDS = tuple(field.name for field in fields(Row) if type(field.default) is int)

NO_KNOWN_END = 1e12
"""The end of a foreign client's probe, Unix seconds. It has no lease: only its report or the key's expiry frees it."""

FOREIGN_TOKEN = "foreign"  # noqa: S105 # an owner's name, not a secret
"""The owner of a probe that a foreign client claimed."""

GRACE = 60
"""The least time a key outlives its open time or its lease, seconds."""

# Whole numbers up to 2**53 are exact in a double. A generation keeps room to grow up to the largest of a permit.
LARGEST: Mapping[str, float] = {
    field.name: 2**53 if type(field.default) is int else NO_KNOWN_END
    for field in fields(Row)
    if not isinstance(field.default, str)
} | {"generation": MAX_COUNT // 2, "score": 2.0}

STATE_FIELDS = ("state", "previous_state")

TEXTS = tuple(field.name for field in fields(Row) if isinstance(field.default, str))

ADDS = "adds"
"""The argument that lets a script create a key."""

_PLAIN_DECIMAL = re.compile(r"[0-9][0-9.eE+-]*", re.ASCII)


def to_text(value: float) -> str:
    """Write a number so that every double comes back as it was, and a whole number without a point."""
    return f"{value:.17g}"


def to_argument(value: str | float | None) -> bytes:
    """Write a parameter of a rule as an argument of a script; ``None`` becomes the empty text."""
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else to_text(value).encode()


def from_answer(values: Sequence[bytes | str]) -> tuple[Row, float]:
    """Decode a script's answer: `ANSWER_COLUMNS`, then the clock in Unix seconds."""
    texts = [_to_str(value) for value in values]
    columns = {name: _column(name, text) for name, text in zip(ANSWER_COLUMNS, texts, strict=False)}
    return Row(**columns), float(texts[-1])


def from_hash(raw: Mapping[Any, Any]) -> Row:
    """Decode a hash as Redis returned it; an empty one is a breaker that has no row."""
    found = {_to_str(name): _to_str(value) for name, value in raw.items()}
    columns: dict[str, Any] = {name: _text(name, found.get(name, "")) for name in TEXTS}
    row = Row(**columns, **{name: _number(name, found.get(name, "")) for name in LARGEST})
    active = found.get("half_open_probe_active") == str(True)
    if not found or found.get("written") == _signature(row, active):
        return row
    return replace(
        row,
        generation=row.generation + 1,
        success_count=0,
        open_seconds=0.0 if row.state == CLOSED else row.open_seconds,
        probe_token=FOREIGN_TOKEN if active else "",
        probe_until=NO_KNOWN_END if active else 0.0,
    )


def to_hash(row: Row) -> dict[str, bytes]:
    """Encode a whole row as bytes: a client may have another encoding than UTF-8."""
    active = row.probe_until > 0.0
    return {
        **{name: to_argument(getattr(row, name)) for name in COLUMNS},
        "half_open_probe_active": str(active).encode(),
        "written": _signature(row, active).encode(),
    }


def lifetime(row: Row, now: float, ttl: int, probe_ttl: int) -> int | None:
    """Return the seconds for which a key lives, counted by the clock that set the row's times; ``None``: for ever.

    Args:
        row: The content of the key.
        now: That clock, Unix seconds.
        ttl: Seconds for a breaker at rest.
        probe_ttl: Seconds for one with a probe under way.
    """
    locked = row.override != ""
    if locked and row.override_until == 0.0:
        return None
    steered = max(row.hold_until, row.override_until if locked else 0.0)
    least = math.ceil(steered - now) + GRACE if steered > now else 0
    return max(least, _lifetime_of_state(row, now, ttl, probe_ttl))


def _lifetime_of_state(row: Row, now: float, ttl: int, probe_ttl: int) -> int:
    if row.state == OPEN:
        return max(0, math.ceil(row.open_until - now)) + max(ttl, GRACE)
    if row.state == HALF_OPEN and row.probe_until > 0.0:
        lease = 0 if row.probe_token == FOREIGN_TOKEN else math.ceil(row.probe_until - now)
        return max(probe_ttl, lease + GRACE)
    return ttl


def _signature(row: Row, active: bool) -> str:
    return f"{row.state}|{to_text(row.open_until)}|{active}"


def _column(name: str, text: str) -> Any:
    if name not in LARGEST:
        return unquote(text)
    return int(text) if name in INTEGER_FIELDS else float(text)


def _text(name: str, text: str) -> str:
    if name in STATE_FIELDS:
        return text if text in STATES else CLOSED
    if name == "override":
        return text if text in OVERRIDES else ""
    return text


def _number(name: str, text: str) -> Any:
    kind = int if name in INTEGER_FIELDS else float
    try:
        value = float(text) if _PLAIN_DECIMAL.fullmatch(text) else 0.0
    except ValueError:
        return kind(0)
    if value > LARGEST[name] or (name in INTEGER_FIELDS and not value.is_integer()):
        return kind(0)
    return kind(value)


def _to_str(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")
