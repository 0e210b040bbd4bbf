"""Tests of the exact values that a scrape gives for rows."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from cbstore_sql import FleetCollector, InvalidStateError, SqlStore, StoreUnavailableError
from tests.metrics.breakers import CLEAN, FLEET, LOCKED, SHADOWED, Rows


def scraped(store: Rows | SqlStore, **options: int) -> dict[tuple[str, str], float]:
    """Return every sample by its series and its breaker or state."""
    registry = CollectorRegistry()
    registry.register(FleetCollector(store, **options))
    return {
        (sample.name, sample.labels.get("backend") or sample.labels.get("state") or ""): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def about(series: str, **options: int) -> dict[str, float]:
    """Return one series by breaker."""
    return {label: value for (name, label), value in scraped(Rows(), **options).items() if name == series}


def test_the_state_series_grows_with_the_severity() -> None:
    assert about("cb_fleet_state") == {
        **{"clean": 0, "dirty": 0, "open": 2, "due": 2, "probed": 1, "abandoned": 1, "given_back": 1}
    }


def test_every_series_names_namespace_and_breaker() -> None:
    families = [family for family in FleetCollector(Rows()).collect() if family.name == "cb_fleet_state"]
    assert {tuple(sample.labels) for family in families for sample in family.samples} == {
        ("namespace", "name", "backend")
    }
    assert {sample.labels["namespace"] for family in families for sample in family.samples} == {"shop"}


def test_counts_and_times_are_those_of_the_row() -> None:
    assert about("cb_fleet_failures")["dirty"] == 3
    assert about("cb_fleet_generation")["probed"] == 2
    assert about("cb_fleet_last_failure_timestamp_seconds")["dirty"] == 900.0


def test_a_breaker_that_never_failed_has_no_last_failure_series() -> None:
    assert set(about("cb_fleet_last_failure_timestamp_seconds")) == {row.name for row in FLEET} - {"clean"}


def test_open_seconds_remaining_is_the_time_left_of_an_open_circuit() -> None:
    left = about("cb_fleet_open_seconds_remaining")
    assert left.pop("open") == 12.5
    assert set(left.values()) == {0}


def test_probe_active_and_its_lease_seconds_describe_the_current_probe() -> None:
    held = about("cb_fleet_probe_active")
    assert held.pop("probed") == 1
    assert set(held.values()) == {0}
    assert about("cb_fleet_probe_lease_seconds_remaining") == {"probed": 20.0, "abandoned": 0.0}


def test_probe_overdue_seconds_counts_from_the_time_when_a_probe_could_be_claimed() -> None:
    overdue = about("cb_fleet_probe_overdue_seconds")
    assert (overdue.pop("due"), overdue.pop("abandoned"), overdue.pop("given_back")) == (40.0, 30.0, 40.0)
    assert set(overdue.values()) == {0}


def test_overrides_holds_and_scores_are_numbers() -> None:
    samples = scraped(Rows((CLEAN, LOCKED, SHADOWED)))
    numbers = {
        series: {name: samples.get((f"cb_fleet_{series}", name)) for name in ("clean", "locked", "shadowed")}
        for series in ("override", "override_seconds_remaining", "would_reject", "score", "hold_seconds_remaining")
    }
    assert numbers == {
        "override": {"clean": 0, "locked": 3, "shadowed": 1},
        "override_seconds_remaining": {"clean": None, "locked": 60.0, "shadowed": None},
        "would_reject": {"clean": 0, "locked": 0, "shadowed": 1},
        "score": {"clean": 0, "locked": 0, "shadowed": 0.4},
        "hold_seconds_remaining": {"clean": 0, "locked": 0, "shadowed": 5.0},
    }


def test_the_totals_count_breakers_beyond_the_limit_of_series() -> None:
    assert about("cb_fleet_breakers", max_breakers=1) == {"closed": 2, "open": 2, "half_open": 3}


@pytest.mark.parametrize(
    ("limit", "shown"),
    [(2, {"open", "due"}), (5, {"open", "due", "probed", "abandoned", "given_back"}), (7, {row.name for row in FLEET})],
)
def test_the_least_severe_breakers_beyond_the_limit_are_dropped_and_counted(limit: int, shown: set[str]) -> None:
    for series in ("cb_fleet_state", "cb_fleet_generation"):
        assert set(about(series, max_breakers=limit)) == shown
    assert scraped(Rows(), max_breakers=limit)["cb_fleet_dropped_breakers", ""] == len(FLEET) - limit


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(InvalidStateError, match="max_breakers"):
        FleetCollector(Rows(), max_breakers=0)


def test_a_store_that_answers_is_up() -> None:
    assert scraped(Rows())["cb_fleet_up", ""] == 1


@pytest.fixture
def unreachable() -> Iterator[SqlStore]:
    with SqlStore("postgresql://somebody:secret@127.0.0.1:1/nowhere") as store:
        yield store


def test_an_unreachable_store_is_down_and_has_no_breaker_series(
    unreachable: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    sample = scraped(unreachable)
    assert sample.pop(("cb_fleet_up", "")) == 0
    assert set(sample) == {("cb_fleet_scrape_duration_seconds", "")}
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "cannot read the breaker store for metrics (StoreUnavailableError)")
    ]


def test_no_series_keeps_an_old_value_during_or_after_an_outage() -> None:
    rows = Rows()
    registry = CollectorRegistry()
    registry.register(FleetCollector(rows))
    assert registry.get_sample_value("cb_fleet_breakers", {"state": "open"}) == 2
    rows.error = StoreUnavailableError("out")
    assert registry.get_sample_value("cb_fleet_breakers", {"state": "open"}) is None
    rows.error, rows.breakers = None, ()
    assert registry.get_sample_value("cb_fleet_breakers", {"state": "open"}) == 0


def test_an_unexpected_exception_is_raised_and_is_not_an_outage() -> None:
    with pytest.raises(ZeroDivisionError):
        scraped(Rows(error=ZeroDivisionError()))


def test_registering_names_every_series_without_reading_the_store() -> None:
    collector = FleetCollector(Rows(error=AssertionError()))
    CollectorRegistry(auto_describe=True).register(collector)
    assert [family.name for family in collector.describe()] == [
        family.name for family in FleetCollector(Rows()).collect()
    ]
