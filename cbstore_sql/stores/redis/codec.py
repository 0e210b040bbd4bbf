"""The Redis hash that holds a breaker: how to encode and decode the hash.

The fields ``state``, ``failure_count``, ``last_failure_time``, ``open_until`` and ``half_open_probe_active`` (``True``
or ``False``) are those of MassGen's ``RedisStore``, so that MassGen's clients and the clients of this library can share
a key. The hash also has the other columns of `Row`, and the field ``written``. ``written`` repeats the state, the end
of the open time and the probe, as this library last wrote them. If ``written`` does not match these fields, a foreign
client has changed the breaker. Then the breaker reads as one of a new generation: earlier permits are stale, and an
active probe belongs to `FOREIGN_TOKEN` and has no known end. A foreign client that only counts a failure does not
change these fields, so the generation stays the same.

No content of a hash causes an error. A number reads as 0 if it is missing, not a plain decimal, not whole where it must
be whole, or out of range. An unknown state reads as closed. An unknown override reads as no override. In text that is
not UTF-8, replacement characters stand for the invalid bytes. Unknown fields stay as they are. ``_hash.lua`` does the
same as this module.
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
"""The end of a foreign client's probe, Unix seconds.

A foreign client's probe has no lease. Only the client's report or the expiry of the key frees the probe."""

FOREIGN_TOKEN = "foreign"  # noqa: S105 # an owner's name, not a secret
"""The owner of a probe that a foreign client claimed."""

GRACE = 60
"""The shortest time in seconds between the end of an open time or a lease and the expiry of the key."""

# Whole numbers up to 2**53 are exact in a double. The limit of a generation is lower, so that the generation can grow
# and stay below the largest generation of a permit.
LARGEST: Mapping[str, float] = {
    field.name: 2**53 if type(field.default) is int else NO_KNOWN_END
    for field in fields(Row)
    if not isinstance(field.default, str)
} | {"generation": MAX_COUNT // 2, "score": 2.0}

STATE_FIELDS = ("state", "previous_state")

TEXTS = tuple(field.name for field in fields(Row) if isinstance(field.default, str))

ADDS = "adds"
"""The argument that allows a script to create a key."""

_PLAIN_DECIMAL = re.compile(r"[0-9][0-9.eE+-]*", re.ASCII)


def to_text(value: float) -> str:
    """Write a number as text that gives exactly the same number when it is read. A whole number has no decimal point.

    Args:
        value: The number.
    """
    return f"{value:.17g}"


def to_argument(value: str | float | None) -> bytes:
    """Encode a parameter of an operation as bytes, to pass it to a Lua script.

    Args:
        value: The parameter. ``None`` gives empty bytes.
    """
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else to_text(value).encode()


def from_answer(values: Sequence[bytes | str]) -> tuple[Row, float]:
    """Decode the answer of a Lua script.

    Args:
        values: The texts of the columns `ANSWER_COLUMNS`, then the server's clock.

    Returns:
        The row of the breaker, and the server's clock in Unix seconds.
    """
    texts = [_to_str(value) for value in values]
    columns = {name: _column(name, text) for name, text in zip(ANSWER_COLUMNS, texts, strict=False)}
    return Row(**columns), float(texts[-1])


def from_hash(raw: Mapping[Any, Any]) -> Row:
    """Decode the Redis hash of a breaker to a row. An empty hash gives the row of a breaker that was never written.

    If a client of another library has changed the breaker, the row has a new generation, so earlier permits have no
    effect.

    Args:
        raw: The fields of the hash, as Redis returned them. Damaged values read as 0, closed or empty.
    """
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
    """Encode a row as the fields of a Redis hash.

    The values are bytes, because a client may have an encoding other than UTF-8.

    Args:
        row: The row, with all columns.
    """
    active = row.probe_until > 0.0
    return {
        **{name: to_argument(getattr(row, name)) for name in COLUMNS},
        "half_open_probe_active": str(active).encode(),
        "written": _signature(row, active).encode(),
    }


def lifetime(row: Row, now: float, ttl: int, probe_ttl: int) -> int | None:
    """Return after how many seconds the key of a breaker may expire; ``None`` means never.

    An open circuit, a probe, a hold or an override lengthens the lifetime, so that the key does not expire too early.

    Args:
        row: The breaker.
        now: The present time, Unix seconds, by the clock that set the times of the row.
        ttl: The lifetime in seconds of a breaker that has nothing to wait for.
        probe_ttl: The shortest lifetime in seconds of a breaker whose probe is running.
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
