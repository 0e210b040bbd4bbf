"""Tests of the detection of the beginning and the end of an outage."""

from __future__ import annotations

import pytest

from cbstore_sql import CircuitBreaker, ConfigurationError, InMemoryStore, SchemaError, StoreUnavailableError
from cbstore_sql.breaker.outage.detector import OutageDetector
from cbstore_sql.events import BreakerEvent, StoreDegraded, StoreRecovered


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="local, allow, block, raise"):
        CircuitBreaker(InMemoryStore(), on_store_outage="ignore")  # type: ignore[arg-type] # on purpose


def test_the_beginning_and_the_end_of_an_outage_are_each_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    told: list[BreakerEvent] = []
    outage = OutageDetector("local", told.append)
    outage.mark_up()
    assert not told
    outage.mark_down("a", StoreUnavailableError("gone"))
    outage.mark_down("b", StoreUnavailableError("gone"))
    assert (outage.is_out, outage.name) == (True, "b")
    outage.mark_up()
    outage.mark_up()
    assert told == [StoreDegraded("a", "StoreUnavailableError"), StoreRecovered("b")]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert not outage.is_out


def test_refusals_name_a_missing_table_until_the_table_exists(caplog: pytest.LogCaptureFixture) -> None:
    outage = OutageDetector("raise", lambda _: None)
    outage.mark_down("b", SchemaError("no table: run migrate"))
    assert [(record.levelname, "run migrate" in record.message) for record in caplog.records] == [("ERROR", True)]
    with pytest.raises(SchemaError, match="run migrate"):
        outage.refuse("b")
    outage.mark_down("b", StoreUnavailableError("gone"))
    with pytest.raises(StoreUnavailableError) as refused:
        outage.refuse("b")
    assert refused.value.applied is False


def test_a_trial_of_the_store_emits_no_event(caplog: pytest.LogCaptureFixture) -> None:
    told: list[BreakerEvent] = []
    outage = OutageDetector("local", told.append)
    outage.mark_down("a", StoreUnavailableError("gone"))
    outage.try_again()
    assert (outage.is_out, outage.is_degraded) == (False, True)
    outage.mark_down("a", StoreUnavailableError("gone"))
    assert (outage.is_out, len(told), len(caplog.records)) == (True, 1, 1)


def test_the_log_gives_the_reason_in_the_library_s_words(caplog: pytest.LogCaptureFixture) -> None:
    outage = OutageDetector("local", lambda _: None)
    outage.mark_down("a", StoreUnavailableError("password=s3cr3t", reason="authentication failed"))
    assert caplog.messages == ["the breaker store does not answer (StoreUnavailableError: authentication failed)"]


def test_events_come_in_pairs_if_the_store_recovers_while_a_listener_runs() -> None:
    told: list[str] = []

    def listen(event: BreakerEvent) -> None:
        if isinstance(event, StoreDegraded) and not told:
            # Another thread can do this while a slow listener runs.
            outage.mark_up()
            outage.mark_down("b", StoreUnavailableError("gone"))
        told.append(type(event).__name__)

    outage = OutageDetector("local", listen)
    outage.mark_down("a", StoreUnavailableError("gone"))
    assert told == ["StoreDegraded", "StoreRecovered", "StoreDegraded"]
