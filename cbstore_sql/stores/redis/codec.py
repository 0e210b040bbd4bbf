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
same as this module, but a script writes only fields whose text changes: a missing field reads as 0 or as no text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cbstore_sql.core.model import COLUMNS, OVERRIDES, STATES, Row
from cbstore_sql.core.rules import CLOSED, HALF_OPEN, OPEN
from cbstore_sql.core.validation import MAX_COUNT

INTEGER_FIELDS = tuple(name for name, default in Row._field_defaults.items() if type(default) is int)

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
    name: 2**53 if type(default) is int else NO_KNOWN_END
    for name, default in Row._field_defaults.items()
    if not isinstance(default, str)
} | {"generation": MAX_COUNT // 2, "score": 2.0}

STATE_FIELDS = ("state", "previous_state")

TEXT_PARAMETERS = frozenset({"token", "expected", "state", "test", "mode", "by", "reason", "label"})
"""The parameters of the rules that are text. The others are numbers."""

_SURELY_EXACT = 16
"""Whole numbers with fewer digits are exact in a double."""

_PLAIN_DECIMAL = re.compile(rb"[0-9][0-9.eE+-]*")


def to_text(value: float) -> str:
    """Write a number as text that gives exactly the same number when it is read. A whole number has no decimal point.

    Args:
        value: The number.
    """
    return f"{value:.17g}" if value else "0"


def to_number(value: float | None) -> str:
    """Write a number as text, to pass it to a Lua script.

    Args:
        value: The number. ``None`` gives ``-``.
    """
    kind = type(value)
    if kind is float or kind is int:
        return repr(value)
    return "-" if value is None else to_text(value)


def parts(answer: bytes | list[bytes]) -> list[bytes]:
    """Split the answer of a Lua script into its items.

    Args:
        answer: The texts with a NUL between them; or the list of the texts, if one of them has a NUL.

    Returns:
        The name and the value of each field of the breaker's Redis hash before the script ran; then the same of each
        field that the script wrote; last the server's clock. If the key is missing, the list has only the clock.
    """
    return answer.split(b"\0") if isinstance(answer, bytes) else answer


def from_parts(texts: Sequence[bytes]) -> list[Any]:
    """Decode the answer of a Lua script to the columns of a breaker.

    Args:
        texts: The result of `parts`.

    Returns:
        The values of `ANSWER_COLUMNS`, then the server's clock in Unix seconds.
    """
    # The text of a field that comes last is the one that the hash has now.
    values = _values(dict(zip(texts[0::2], texts[1::2], strict=False)))
    values[_HISTORY] = float(texts[-1])
    return values


def from_hash(raw: Mapping[Any, Any]) -> Row:
    """Decode the Redis hash of a breaker to a row. An empty hash gives the row of a breaker that was never written.

    If a client of the project MassGen, which uses the same hash, has changed the breaker, the row has a new generation.
    So permits that were given before the change have no effect.

    Args:
        raw: The fields of the hash, as Redis returned them. Damaged values read as 0, closed or empty.
    """
    if raw and isinstance(next(iter(raw)), str):
        raw = {_to_bytes(name): _to_bytes(text) for name, text in raw.items()}
    return Row(*_values(raw))


def _values(raw: Mapping[bytes, bytes]) -> list[Any]:
    """Return the values of `COLUMNS`."""
    values = [*_DEFAULTS]
    if not raw:
        return values
    for field, text in raw.items():
        if (known := _READERS.get(field)) is not None:
            place, read = known
            values[place] = read(text)
    active = raw.get(b"half_open_probe_active") == b"True"
    if not _is_signed(raw, values, active):
        values[_GENERATION] += 1
        values[_SUCCESS_COUNT] = 0
        values[_OPEN_SECONDS] = 0.0 if values[_STATE] == CLOSED else values[_OPEN_SECONDS]
        values[_PROBE_TOKEN] = FOREIGN_TOKEN if active else ""
        values[_PROBE_UNTIL] = NO_KNOWN_END if active else 0.0
    return values


def _is_signed(raw: Mapping[bytes, bytes], values: Sequence[Any], active: bool) -> bool:
    """Return whether ``written`` matches the state, the end of the open time and the probe."""
    written = raw.get(b"written")
    state, ending = values[_STATE].encode(), str(active).encode()
    # Most hashes have the text that this library wrote, and comparing it is faster than writing the number again.
    as_it_stands = b"%b|%b|%b" % (state, raw.get(b"open_until", b"0"), ending)
    return written == as_it_stands or written == _signature(values[_STATE], values[_OPEN_UNTIL], active)


def to_hash(row: Row) -> dict[str, bytes]:
    """Encode a row as the fields of a Redis hash.

    The values are bytes, because a client may have an encoding other than UTF-8.

    Args:
        row: The row, with all columns.
    """
    active = row.probe_until > 0.0
    return {
        **{name: _to_bytes(getattr(row, name)) for name in COLUMNS},
        "half_open_probe_active": str(active).encode(),
        "written": _signature(row.state, row.open_until, active),
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


def _signature(state: str, open_until: float, active: bool) -> bytes:
    return f"{state}|{to_text(open_until)}|{active}".encode()


def _to_bytes(value: bytes | str | float) -> bytes:
    if isinstance(value, bytes):
        return value
    # A client that decodes may return surrogates, which stand for bytes that are not text.
    return value.encode(errors="replace") if isinstance(value, str) else to_text(value).encode()


def _count(name: str) -> Callable[[bytes], int]:
    largest, read_number = LARGEST[name], _number(name)

    def read(text: bytes) -> int:
        if text.isdigit() and len(text) < _SURELY_EXACT:
            value = int(text)
            return value if value <= largest else 0
        number = read_number(text)
        return int(number) if number.is_integer() else 0

    return read


def _number(name: str) -> Callable[[bytes], float]:
    largest, is_plain = LARGEST[name], _PLAIN_DECIMAL.fullmatch

    def read(text: bytes) -> float:
        if text == b"0" or not is_plain(text):
            return 0.0
        try:
            value = float(text)
        except ValueError:
            return 0.0
        return value if value <= largest else 0.0

    return read


def _one_of(values: Sequence[str], otherwise: str) -> Callable[[bytes], str]:
    known = {value.encode(): value for value in values}
    return lambda text: known.get(text, otherwise)


def _reader(name: str) -> Callable[[bytes], Any]:
    """Return the function that decodes the text of a column."""
    if name in LARGEST:
        return _count(name) if name in INTEGER_FIELDS else _number(name)
    if name in STATE_FIELDS:
        return _one_of(STATES, CLOSED)
    return _one_of(OVERRIDES, "") if name == "override" else lambda text: text.decode(errors="replace")


_READERS = {name.encode(): (place, _reader(name)) for place, name in enumerate(COLUMNS)}
_DEFAULTS: tuple[Any, ...] = tuple(Row())
_STATE, _GENERATION, _SUCCESS_COUNT, _OPEN_UNTIL, _OPEN_SECONDS, _PROBE_TOKEN, _PROBE_UNTIL, _HISTORY = (
    COLUMNS.index(name)
    for name in (
        "state",
        "generation",
        "success_count",
        "open_until",
        "open_seconds",
        "probe_token",
        "probe_until",
        "history",
    )
)
