"""Tests of the wait and the status that a failed call contains."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbstore_sql import RateLimitAction, classify_429, extract_retry_after, extract_status_code
from tests.llm.tools import ApiError

NOON = 1_750_000_000.0


def waits(**headers: Any) -> float | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return extract_retry_after(ApiError(429, named), now=NOON)


@pytest.mark.parametrize(
    ("seconds", "threshold", "action"),
    [
        (None, 60.0, RateLimitAction.CAP),
        (None, math.inf, RateLimitAction.CAP),
        (0.0, 0.0, RateLimitAction.WAIT),
        (60.0, 60.0, RateLimitAction.WAIT),
        (60.1, 60.0, RateLimitAction.STOP),
        (1.0, 0.0, RateLimitAction.STOP),
        (1e9, math.inf, RateLimitAction.WAIT),
    ],
)
def test_a_429_with_a_wait_up_to_the_threshold_is_waited_for(
    seconds: float | None, threshold: float, action: Any
) -> None:
    assert classify_429(seconds, threshold) is action


@pytest.mark.parametrize(("raw", "seconds"), [("0", 0.0), ("30", 30.0), ("0.5", 0.5), (" 7 ", 7.0), (12, 12.0)])
def test_a_retry_after_in_seconds_is_read(raw: object, seconds: float) -> None:
    assert waits(Retry_After=raw) == seconds


@pytest.mark.parametrize("raw", ["-1", "-0.5", "nan", "inf", "-inf", "1e999", 10**400, "soon", "", None, b"30;", []])
def test_an_invalid_retry_after_gives_none(raw: object) -> None:
    assert waits(Retry_After=raw) is None


@pytest.mark.parametrize("name", ["retry-after", "Retry-After", "RETRY-AFTER"])
def test_the_case_of_a_header_does_not_matter(name: str) -> None:
    assert extract_retry_after(ApiError(429, {name: "5"})) == 5.0
    response = httpx.Response(429, headers={name: "5"})
    error = httpx.HTTPStatusError("", request=httpx.Request("GET", "http://localhost"), response=response)
    assert extract_retry_after(error) == 5.0


def test_milliseconds_take_precedence_over_seconds() -> None:
    assert waits(retry_after_ms="1500", retry_after="9") == 1.5
    assert waits(retry_after_ms="1500") == 1.5


@pytest.mark.parametrize("raw", ["-1", "nan", "soon"])
def test_invalid_milliseconds_are_ignored(raw: str) -> None:
    assert waits(retry_after_ms=raw, retry_after="9") == 9.0


def test_a_date_is_relative_to_the_clock() -> None:
    assert waits(retry_after=formatdate(NOON + 90, usegmt=True)) == 90.0


def test_a_date_is_relative_to_the_date_header_of_the_response_if_present() -> None:
    skewed = NOON - 86_400
    assert waits(retry_after=formatdate(skewed + 90, usegmt=True), date=formatdate(skewed, usegmt=True)) == 90.0
    assert waits(retry_after=formatdate(NOON + 90, usegmt=True), date="yesterday") == 90.0


def test_a_date_in_the_past_gives_a_wait_of_0() -> None:
    assert waits(retry_after=formatdate(NOON - 1, usegmt=True)) == 0.0


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the time zone of the process to one that is not UTC."""
    with monkeypatch.context() as here:
        here.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
@pytest.mark.parametrize(
    "date",
    [
        "Sun, 15 Jun 2025 15:07:00 GMT",
        "Sunday, 15-Jun-25 15:07:00 GMT",
        "Sun Jun 15 15:07:00 2025",
        "Sun, 15 Jun 2025 17:07:00 +0200",
        "Sun, 15 Jun 2025 15:07:00 -0000",
    ],
    ids=["as they are sent", "as they were", "as C writes them", "with a zone", "without a zone"],
)
def test_every_form_of_a_date_is_read(date: str) -> None:
    assert waits(retry_after=date) == 20.0


def test_without_a_given_clock_a_date_is_relative_to_the_machine_s_clock() -> None:
    assert extract_retry_after(ApiError(429, {"retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"})) > 1e9  # type: ignore[operator] # None would fail too


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no response"),
        SimpleNamespace(response=None),
        SimpleNamespace(response=SimpleNamespace()),
        SimpleNamespace(response=SimpleNamespace(headers=None)),
        SimpleNamespace(response=SimpleNamespace(headers="retry-after: 5")),
        SimpleNamespace(response={"headers": {"retry-after": "5"}}),
    ],
)
def test_a_failure_without_headers_gives_no_wait(error: Any) -> None:
    assert extract_retry_after(error) is None


@given(st.text() | st.floats().map(str) | st.integers().map(str), st.text(), st.text())
def test_the_wait_is_finite_for_any_headers(seconds: str, milliseconds: str, date: str) -> None:
    wait = waits(retry_after=seconds, retry_after_ms=milliseconds, date=date)
    assert wait is None or (math.isfinite(wait) and wait >= 0)


@given(
    st.builds("{}, {} {} {} {}:{}:{} {}".format, *[st.sampled_from(["Mon", "31", "Feb", "0", "99999", "-9999"])] * 8)
)
def test_the_wait_is_finite_for_any_date(date: str) -> None:
    wait = waits(retry_after=date)
    assert wait is None or (math.isfinite(wait) and wait >= 0)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ApiError(429), 429),
        (SimpleNamespace(status_code="503"), 503),
        (SimpleNamespace(response=SimpleNamespace(status_code=500)), 500),
        (SimpleNamespace(status_code=None, response=SimpleNamespace(status_code=500)), 500),
        (SimpleNamespace(status_code="bad gateway", response=SimpleNamespace(status_code=502)), 502),
        (SimpleNamespace(status_code=math.inf), None),
        (ValueError("no status"), None),
    ],
)
def test_the_status_comes_from_the_error_or_its_response(error: Any, status: int | None) -> None:
    assert extract_status_code(error) == status
