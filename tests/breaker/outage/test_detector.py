"""The store's own circuit."""

from __future__ import annotations

import pytest

from cbstore_sql import CircuitBreaker, ConfigurationError, InMemoryStore, SchemaError, StoreUnavailableError
from cbstore_sql.breaker.outage.detector import OutageDetector
from cbstore_sql.events import BreakerEvent, StoreDegraded, StoreRecovered


def test_a_policy_there_is_none_of_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="local, allow, block, raise"):
        CircuitBreaker(InMemoryStore(), on_store_outage="ignore")  # type: ignore[arg-type] # on purpose


def test_beginning_and_end_are_told_once_each(caplog: pytest.LogCaptureFixture) -> None:
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


def test_what_is_missing_is_said_until_it_is_there(caplog: pytest.LogCaptureFixture) -> None:
    outage = OutageDetector("raise", lambda _: None)
    outage.mark_down("b", SchemaError("no table: run migrate"))
    assert [(record.levelname, "run migrate" in record.message) for record in caplog.records] == [("ERROR", True)]
    with pytest.raises(SchemaError, match="run migrate"):
        outage.refuse("b")
    outage.mark_down("b", StoreUnavailableError("gone"))
    with pytest.raises(StoreUnavailableError) as refused:
        outage.refuse("b")
    assert refused.value.applied is False
