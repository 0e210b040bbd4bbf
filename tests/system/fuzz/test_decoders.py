"""Any data from a server or another process decodes to a valid value."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from cbstore_sql import extract_retry_after, extract_status_code
from cbstore_sql.core.model import COLUMNS, STATES, Row
from cbstore_sql.core.rules import CLOSED
from cbstore_sql.llm import classify_error, classify_result
from cbstore_sql.stores.redis import codec
from cbstore_sql.stores.sql.push.channel import digest_of, newer_names
from tests.system.fuzz.hostile import anything, mess

NAMES = [*COLUMNS, "half_open_probe_active", "written", "other"]
TEXTS = [
    "",
    "closed",
    "open",
    "half_open",
    "True",
    "False",
    "0",
    "1.5",
    "-1",
    "1e400",
    "nan",
    "9" * 5000,
    "closed|0|False",
]
values = st.sampled_from(TEXTS).map(str.encode) | st.binary(max_size=12) | st.floats().map(lambda it: repr(it).encode())
hashes = st.dictionaries(st.sampled_from(NAMES).map(str.encode) | st.binary(max_size=4), values)

times = st.floats(0, codec.NO_KNOWN_END)
counts = st.integers(0, 2**53)
rows = st.builds(
    Row()._replace,
    state=st.sampled_from(STATES),
    previous_state=st.sampled_from(STATES),
    generation=st.integers(0, int(codec.LARGEST["generation"])),
    failure_count=counts,
    success_count=counts,
    last_failure_time=times,
    open_until=times,
    open_seconds=times,
    probe_token=st.text(max_size=8).filter(lambda text: text.isprintable()),
    probe_until=times,
)


@given(hashes)
@example({b"generation": b"9" * 5000})
@example({b"state": b"\xff", b"probe_token": b"\xff\xfe"})
def test_any_hash_decodes_to_a_valid_row(raw: dict[bytes, bytes]) -> None:
    row = codec.from_hash(raw)
    assert row.state in STATES
    assert row.previous_state in STATES
    assert {type(getattr(row, name)) is type(default) for name, default in Row._field_defaults.items()} == {True}
    for name, largest in codec.LARGEST.items():
        assert 0 <= getattr(row, name) <= largest + (name == "generation")
    assert codec.from_hash(codec.to_hash(row)) == row or row.generation > codec.LARGEST["generation"]


@given(rows)
def test_an_encoded_row_decodes_to_the_same_row(row: Row) -> None:
    assert codec.from_hash(codec.to_hash(row)) == row


@given(rows, st.sampled_from(STATES), st.booleans())
def test_a_foreign_change_never_leaves_a_permit_valid(row: Row, state: str, active: bool) -> None:
    raw = codec.to_hash(row) | {"state": state.encode(), "half_open_probe_active": str(active).encode()}
    read = codec.from_hash(raw)
    if (state, active) == (row.state, row.probe_until > 0):
        assert read == row
    else:
        assert read.generation == row.generation + 1
        assert read.open_seconds == (0.0 if state == CLOSED else row.open_seconds)
        assert read._replace(failure_count=0).state == state


@given(st.lists(mess | st.binary().map(bytes.hex), max_size=4), st.dictionaries(st.text(max_size=3), st.integers(0)))
@example(["9" * 4400], {"b": 0})
@example([f"{digest_of('n', 'b')} {'9' * 4400}"], {"b": 0})
@example([f"{digest_of('n', 'b')} ٣"], {"b": 0})
def test_any_notification_names_known_breakers_or_none(payloads: list[str], generations: dict[str, int]) -> None:
    assert set(newer_names(payloads, "n", generations)) <= set(generations)


@given(st.text(max_size=5).filter(lambda text: text.isprintable()), st.integers(0, 2**53), st.integers(0, 2**53))
def test_a_notification_names_a_breaker_only_if_its_generation_is_newer(name: str, told: int, known: int) -> None:
    payload = f"{digest_of('n', name)} {told}"
    assert newer_names([payload], "n", {name: known}) == ([name] if told > known else [])


HEADERS = ["Retry-After", "retry-after", "retry-after-ms", "Date", "X"]
DATES = [
    "Wed, 21 Oct 2015 07:28:00 GMT",
    "Wed, 21 Oct 99999 07:28:00 GMT",
    "Wed, 21 Oct 2015 07:28:00 +9999",
    "12",
    "-1",
    "1e999",
]


class UpstreamError(Exception):
    """The error of a client."""

    def __init__(self, status: Any, headers: Any) -> None:
        super().__init__()
        self.status_code = status
        self.response = SimpleNamespace(status_code=status, headers=headers)


@given(
    st.sampled_from([429, 500, "429", 10**400, "9" * 5000]) | anything,
    st.dictionaries(st.sampled_from(HEADERS), st.sampled_from(DATES) | mess | anything) | anything,
    st.floats(0, 1e12),
)
@example(429, {"Retry-After": "9" * 5000}, 0.0)
@example(429, {"retry-after-ms": b"\xff", "Date": "\ud800"}, 0.0)
def test_any_answer_of_a_server_has_a_valid_wait_or_none(status: Any, headers: Any, now: float) -> None:
    error = UpstreamError(status, headers)
    seconds = extract_retry_after(error, now=now)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)
    assert extract_status_code(error) is None or isinstance(extract_status_code(error), int)
    classify_error(error)
    classify_result(error)
