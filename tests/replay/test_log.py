"""Tests of reading a log of calls, and of the errors for lines that cannot be read."""

from __future__ import annotations

import json

import pytest

from cbstore_sql import ConfigurationError, Verdict
from cbstore_sql.replay.log import LoggedCall, parse_log

LINE = {"time": 100.0, "outcome": "success", "seconds": 0.5}


def lines(*changes: dict[str, object]) -> list[str]:
    return [json.dumps({**LINE, **change}) for change in changes]


def test_calls_are_read_in_the_order_in_which_they_ended() -> None:
    log = lines({"time": 7, "outcome": "failure", "process": "web-1"}, {}, {"time": 8.5, "outcome": "none"})
    assert parse_log([*log, "\n"]) == [
        LoggedCall(7.0, Verdict.FAILURE, 0.5, "web-1"),
        LoggedCall(8.5, Verdict.NONE, 0.5),
        LoggedCall(100.0, Verdict.SUCCESS, 0.5),
    ]


def test_the_beginning_of_a_call_is_its_end_minus_its_duration() -> None:
    assert parse_log(lines({}))[0].began == 99.5


def test_parse_log_with_a_name_returns_only_the_calls_of_that_breaker() -> None:
    log = lines({"name": "a", "seconds": 1}, {"name": "b", "seconds": 2}, {"seconds": 3})
    assert [call.seconds for call in parse_log(log, name="b")] == [2.0, 3.0]
    assert len(parse_log(log)) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 of the log is not a JSON object"),
        ("[1]", "line 2 of the log is not a JSON object"),
        ("[" * 100_000, "line 2 of the log is not a JSON object"),
        (json.dumps({**LINE, "outcome": "ok"}), 'line 2 of the log: outcome must be "success", "failure" or "none"'),
        (json.dumps({**LINE, "outcome": ["success"]}), "outcome must be"),
        (json.dumps({"outcome": "success", "seconds": 1}), "time must be a number from 0 to 1e+11, got None"),
        (json.dumps({**LINE, "time": "now"}), "time must be a number"),
        (json.dumps({**LINE, "seconds": -1}), "seconds must be a number from 0 to 1e+09, got -1"),
        (json.dumps({**LINE, "seconds": True}), "seconds must be a number"),
        ('{"time": NaN, "outcome": "success", "seconds": 1}', "time must be a number"),
    ],
)
def test_the_error_for_an_invalid_call_names_its_line(line: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_log([*lines({}), line])
    assert message in str(refused.value)


@pytest.mark.parametrize(("name", "message"), [(None, "holds no calls"), ("x", "holds no calls of the breaker 'x'")])
def test_a_log_without_calls_is_refused(name: str | None, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_log(lines({"name": "y"}) if name else [], name=name)
