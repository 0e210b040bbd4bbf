"""Tests of log records as a log collector receives them."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from cbstore_sql import BreakerPolicy, CircuitBreaker, CircuitBreakerOpenError, InMemoryStore, Permit, State, log_events
from cbstore_sql import events as told
from cbstore_sql.core.model import Verdict
from cbstore_sql.metrics.logs import EVENT_LEVELS
from tests.breaker.drivers import Clock
from tests.metrics.breakers import OPEN, PROBED, Switchable

PERMIT = Permit("api", 7, "host/1/secret")

EVENTS = {
    "opened": told.Opened("api", State.CLOSED, OPEN),
    "half_opened": told.HalfOpened("api", State.OPEN, PROBED),
    "closed": told.Closed("api", State.HALF_OPEN, PROBED),
    "rejected": told.Rejected("api", State.OPEN, 12.5),
    "override_set": told.OverrideSet(
        "api",
        OPEN._replace(override="open", override_until=OPEN.as_of + 60, override_by="al\nice", override_reason="x"),
    ),
    "override_cleared": told.OverrideCleared("api", "bob"),
    "would_have_opened": told.WouldHaveOpened("api", OPEN),
    "would_have_rejected": told.WouldHaveRejected("api", State.OPEN, 12.5, "state"),
    "call_finished": told.CallFinished("api", Verdict.FAILURE, 0.25),
    "probe_claimed": told.ProbeClaimed("api", PERMIT, took_over=True),
    "probe_lost": told.ProbeLost("api"),
    "probe_stalled": told.ProbeStalled("api", PERMIT),
    "probe_expired": told.ProbeExpired("api", PERMIT),
    "store_degraded": told.StoreDegraded("api", "StoreUnavailableError"),
    "store_recovered": told.StoreRecovered("api"),
    "view_refreshed": told.ViewRefreshed("api", 0.125),
}

OF_A_RECORD = set(vars(logging.makeLogRecord({}))) | {"message"}


class JsonLines(logging.Formatter):
    """A formatter that writes one JSON object for each record, with the message and the fields of ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        extra = {key: value for key, value in vars(record).items() if key not in OF_A_RECORD}
        return json.dumps({"level": record.levelname, "message": record.getMessage(), **extra})


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def logger(stream: io.StringIO) -> logging.Logger:
    logger = logging.Logger("json", logging.DEBUG)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    return logger


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_kind_of_event_has_a_level() -> None:
    kinds = {kind for kind in vars(told).values() if isinstance(kind, type) and issubclass(kind, told.BreakerEvent)}
    assert set(EVENT_LEVELS) == kinds - {told.BreakerEvent, told.StateChanged}
    assert {type(event) for event in EVENTS.values()} == set(EVENT_LEVELS)


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_is_one_line_with_its_kind_and_name(kind: str, logger: logging.Logger, stream: io.StringIO) -> None:
    log_events(logger)(EVENTS[kind])
    (line,) = lines(stream)
    assert (line["cb_event"], line["cb_name"]) == (kind, "api")
    assert line["level"] == logging.getLevelName(EVENT_LEVELS[type(EVENTS[kind])])
    assert line["message"].startswith(f"circuit breaker 'api': {kind}")
    assert "secret" not in stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (
            "opened",
            {"state": "open", "previous_state": "closed", "generation": 1, "failure_count": 3, "retry_after": 12.5},
        ),
        ("rejected", {"state": "open", "retry_after": 12.5, "reason": "state"}),
        ("override_set", {"mode": "open", "seconds": 60.0, "by": r"al\nice", "reason": "x"}),
        ("override_cleared", {"by": "bob"}),
        ("would_have_opened", {"generation": 1, "failure_count": 3}),
        ("would_have_rejected", {"state": "open", "retry_after": 12.5, "reason": "state"}),
        ("call_finished", {"verdict": "failure", "seconds": 0.25}),
        ("probe_claimed", {"generation": 7, "took_over": True}),
        ("probe_stalled", {"generation": 7}),
        ("probe_expired", {"generation": 7}),
        ("store_degraded", {"error": "StoreUnavailableError"}),
        ("probe_lost", {}),
    ],
)
def test_the_data_of_an_event_are_fields_and_part_of_the_message(
    kind: str, fields: dict[str, Any], logger: logging.Logger, stream: io.StringIO
) -> None:
    log_events(logger)(EVENTS[kind])
    (line,) = lines(stream)
    extra = {key.removeprefix("cb_"): value for key, value in line.items() if key.startswith("cb_")}
    assert extra == {"name": "api", "event": kind, **fields}
    assert all(f"{key}={value}" in line["message"] for key, value in fields.items())


def test_state_changes_are_logged_at_info_or_above_and_calls_are_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cbstore_sql.events")
    clock = Clock()
    breaker = CircuitBreaker(InMemoryStore(clock=clock), BreakerPolicy(failure_threshold=1), listeners=[log_events()])
    breaker.force_open("api", 10.0)
    with pytest.raises(CircuitBreakerOpenError):
        breaker.call("api", str)
    clock.advance(11.0)
    breaker.call("api", str)
    seen = [(record.levelname, vars(record)["cb_event"]) for record in caplog.records]
    assert seen == [("WARNING", "opened"), ("INFO", "half_opened"), ("INFO", "probe_claimed"), ("INFO", "closed")]


def test_a_level_can_be_chosen_by_kind(logger: logging.Logger, stream: io.StringIO) -> None:
    listener = log_events(logger, levels={told.Rejected: logging.ERROR})
    listener(EVENTS["rejected"])
    listener(EVENTS["opened"])
    assert [line["level"] for line in lines(stream)] == ["ERROR", "WARNING"]


def test_a_name_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    store = Switchable()
    store.out = True
    CircuitBreaker(store, listeners=[log_events()]).call("api\nERROR all is lost \x1b[31m", str)
    (record,) = [record for record in caplog.records if record.name == "cbstore_sql.events"]
    assert record.getMessage() == (
        r"circuit breaker 'api\nERROR all is lost \x1b[31m': store_degraded error=StoreUnavailableError"
    )
