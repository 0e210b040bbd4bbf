"""Tests that `cbstore_sql.llm.massgen` reads failures as the published massgen does."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import itertools
import math
from types import SimpleNamespace
from typing import Any

import anthropic
import httpx
import openai
import pytest

from cbstore_sql.llm import massgen
from tests.llm.tools import NAME, Api, ApiError, Bench, busy
from tests.system.compat.published import Published

STATUSES: list[Any] = [None, 0, 200, 400, 401, 408, 409, 429, 500, 501, 502, 503, 504, 529, "429", "503", True, 429.0]
WAITS: list[Any] = [
    *[
        "0",
        "0.0",
        "1",
        "7.5",
        " 30 ",
        "120",
        "120.0001",
        "121",
        "1e3",
        "1_0",
        "+5",
        "-5",
        "-0.0",
        "1e999",
        "nan",
        "inf",
    ],
    *[
        "",
        " ",
        "soon",
        "30s",
        "6m0s",
        "1,5",
        "0x10",
        "٣",
        "Fri, 01 Jan 2100 00:00:00 GMT",
        "Sun, 15 Jun 2025 15:07:00 GMT",
    ],
    *[0, 7, 120, 121, 2.5, math.nan, math.inf, True, None, [], b"30", b"soon", object()],
]
NAMES = ["retry-after", "Retry-After", "RETRY-AFTER", "retry-after-ms", "x-ratelimit-reset", "Retry-after"]
THRESHOLDS = [0.0, 1.0, 30.0, 120.0, math.inf]


class Failure(Exception):
    """An exception with the attributes that it is given."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__("no")
        self.__dict__.update(attributes)


class OnlyGet:
    """Headers that are not a mapping but have ``get``."""

    def get(self, name: str) -> str | None:
        return {"retry-after": "9"}.get(name)


def same(one: Any, other: Any) -> bool:
    """Return whether two answers are equal and of one type. NaN is equal to NaN."""
    both_nan = isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other)
    return type(one) is type(other) and (one == other or both_nan)


def headers_of(wait: Any) -> list[Any]:
    return [{name: wait} for name in NAMES] + [
        {"retry-after": wait, "Retry-After": "11"},
        {"retry-after-ms": 5, "Retry-After": wait},
    ]


def failures() -> list[Failure]:
    """Yield failures with every status, header and value, in the error or in its response, and with unusual forms."""
    made = [
        Failure(**place)
        for status in STATUSES
        for place in (
            {"status_code": status},
            {"response": SimpleNamespace(status_code=status)},
            {"status_code": None, "response": SimpleNamespace(status_code=status, headers={})},
            {"status_code": status, "response": SimpleNamespace(status_code=500, headers=None)},
        )
    ]
    made += [
        Failure(status_code=429, response=SimpleNamespace(status_code=429, headers=headers))
        for wait in WAITS
        for headers in headers_of(wait)
    ]
    odd = (None, "retry-after: 5", [("retry-after", "5")], OnlyGet(), httpx.Headers({"Retry-After": "5"}))
    made += [Failure(status_code=429, response=SimpleNamespace(headers=headers)) for headers in odd]
    return [*made, Failure(), Failure(response=None), Failure(response={"headers": {"retry-after": "5"}})]


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_429_is_classified_as_massgen_does(published: Published, threshold: float) -> None:
    for wait in (None, -5.0, 0.0, 0.5, 1.0, 29.9, 30.0, 30.1, 120.0, 120.0001, 1e9, math.inf, math.nan):
        theirs = published.breaker.classify_429(wait, threshold)
        assert massgen.classify_429(wait, threshold).value == theirs.value, wait


def test_every_failure_is_read_as_massgen_does(published: Published) -> None:
    for failure in failures():
        seen = vars(failure)
        theirs = published.breaker.extract_status_code(failure)
        assert same(massgen.extract_status_code(failure), theirs), seen
        theirs = published.breaker.extract_retry_after(failure)
        assert same(massgen.extract_retry_after(failure), theirs), seen


@pytest.mark.parametrize("sdk", [anthropic, openai])
@pytest.mark.parametrize(
    ("status", "wait"), list(itertools.product([400, 429, 500, 529], [None, "0", "7", "600", "soon"]))
)
def test_exceptions_of_real_clients_are_read_as_massgen_does(
    published: Published, sdk: Any, status: int, wait: Any
) -> None:
    request = httpx.Request("POST", "http://localhost")
    response = httpx.Response(status, headers={} if wait is None else {"Retry-After": wait}, request=request)
    error = sdk.APIStatusError("no", response=response, body=None)
    assert same(massgen.extract_status_code(error), published.breaker.extract_status_code(error))
    assert same(massgen.extract_retry_after(error), published.breaker.extract_retry_after(error))


@pytest.mark.parametrize("failure", [Failure(status_code="bad gateway"), Failure(status_code=math.inf)])
def test_a_status_on_which_massgen_raises_gives_none(published: Published, failure: Failure) -> None:
    with pytest.raises((ValueError, OverflowError)):
        published.breaker.extract_status_code(failure)
    assert massgen.extract_status_code(failure) is None


def test_a_wait_on_which_massgen_raises_gives_none(published: Published) -> None:
    failure = Failure(response=SimpleNamespace(headers={"retry-after": 10**400}))
    with pytest.raises(OverflowError):
        published.breaker.extract_retry_after(failure)
    assert massgen.extract_retry_after(failure) is None


def test_every_public_name_of_massgen_exists_with_its_arguments(published: Published) -> None:
    theirs = published.breaker
    public = {name for name, value in vars(theirs).items() if getattr(value, "__module__", "") == theirs.__name__}
    public = {name for name in public if not name.startswith("_")}
    assert public == set(massgen.__all__)
    for name in ("classify_429", "extract_retry_after", "extract_status_code"):
        assert list(inspect.signature(getattr(massgen, name)).parameters) == list(
            inspect.signature(getattr(theirs, name)).parameters
        )
    for name, method in inspect.getmembers(theirs.LLMCircuitBreaker, inspect.isfunction):
        if not name.startswith("_") or name == "__init__":
            ours = inspect.signature(getattr(massgen.LLMCircuitBreaker, name)).parameters
            given = list(inspect.signature(method).parameters)
            assert list(ours)[: len(given)] == given, name
    for enum in ("RateLimitAction", "CircuitState"):
        assert {m.name: m.value for m in getattr(massgen, enum)} == {m.name: m.value for m in getattr(theirs, enum)}


def test_every_setting_has_massgen_s_default(published: Published) -> None:
    ours, theirs = massgen.LLMCircuitBreakerConfig(), published.breaker.LLMCircuitBreakerConfig()
    for field in dataclasses.fields(theirs):
        given, found = getattr(theirs, field.name), getattr(ours, field.name)
        assert (list(found) if isinstance(given, list) else found) == given, field.name


@pytest.mark.parametrize(("wait", "open_for"), [("nan", 60.0), ("inf", 1e9), ("1e999", 1e9), ("600", 600.0)])
def test_an_infinite_or_invalid_wait_opens_the_circuit(wait: str, open_for: float) -> None:
    bench = Bench()
    breaker = massgen.LLMCircuitBreaker(massgen.LLMCircuitBreakerConfig(enabled=True), NAME, store=bench.store)
    with pytest.raises(ApiError):
        asyncio.run(breaker.call_with_retry(Api(busy(wait))))
    assert bench.store.read(NAME).retry_after == open_for


def test_a_negative_wait_causes_no_pause() -> None:
    naps: list[float] = []
    config = massgen.LLMCircuitBreakerConfig(enabled=True)
    breaker = massgen.LLMCircuitBreaker(config, NAME, sleep_sync=naps.append)
    answers = [busy(-5)]

    def ask() -> str:
        if answers:
            raise answers.pop()
        return "answer"

    assert (breaker.call_with_retry_sync(ask), naps) == ("answer", [0.0])
