"""Tests of each step of a call in an outage, without a call of the store."""

from __future__ import annotations

import pytest

from cbstore_sql import BreakerPolicy, InvalidNameError, SchemaError, StoreUnavailableError
from cbstore_sql.breaker.controller import BreakerController
from cbstore_sql.breaker.outage.detector import OutagePolicy
from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import LocalPermit, Row, Snapshot, State, Transition, UnreportedPermit, Verdict
from cbstore_sql.events import BreakerEvent, StoreRecovered
from tests.breaker.answers import answered
from tests.breaker.drivers import Clock

GONE = StoreUnavailableError("gone", applied=False)
CLEAN = Snapshot.of("b", Row(generation=4), 5000.0)
PROBE = Snapshot.of("b", Row("half_open", generation=6, probe_token="me", probe_until=5030.0), 5000.0).permit
OPENED = Transition(State.CLOSED, Snapshot.of("b", Row("open", generation=5, open_until=5060.0), 5000.0))


class Watched(BreakerController):
    """A controller that counts how often it started the background check of the store."""

    def __init__(self, clock: Clock, policy: OutagePolicy = "local") -> None:
        breaker = BreakerPolicy(failure_threshold=1, recovery_timeout=0.0, probe_lease=30.0)
        super().__init__(breaker, view=View(0.25, clock), on_store_outage=policy)
        self.watches = 0
        self.outage.watch = self._count

    def _count(self) -> None:
        self.watches += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def controller(clock: Clock) -> Watched:
    return Watched(clock)


@pytest.fixture
def out(controller: Watched) -> Watched:
    answered(controller.admission("another"), GONE)
    return controller


@pytest.mark.parametrize("step", ["admit", "settle", "renew", "trip", "seen", "refresh"])
def test_the_first_operation_that_fails_begins_the_outage(controller: Watched, step: str) -> None:
    answered(controller.admission("b"), CLEAN)
    steps = {
        "admit": lambda: controller.admission("c"),
        "settle": lambda: controller.settling.by_store(CLEAN.permit, Verdict.FAILURE),
        "renew": lambda: controller.renewal(PROBE),
        "trip": lambda: controller.demands.trip("b", 60.0),
        "seen": lambda: controller.insight.seen("b"),
        "refresh": controller.refresh.run,
    }
    assert answered(steps[step](), GONE) is not False
    assert controller.is_out
    assert controller.watches > 0
    assert controller.view is not None
    assert controller.view.fresh_permit("b") is None, "what was seen is of a store that is gone"


def test_each_call_in_an_outage_starts_the_watch_for_the_store(out: Watched) -> None:
    before = out.watches
    out.admit_without_io("b")
    assert out.watches == before + 1


def test_an_invalid_name_is_refused_in_an_outage(clock: Clock) -> None:
    controller = Watched(clock, "allow")
    answered(controller.admission("b"), GONE)
    with pytest.raises(InvalidNameError):
        controller.admit_without_io("\0")


def test_renewals_succeed_in_an_outage_for_a_shared_probe_and_for_an_unreported_call(controller: Watched) -> None:
    assert answered(controller.renewal(UnreportedPermit("b", 0))) is True
    answered(controller.admission("another"), GONE)
    assert answered(controller.renewal(PROBE)) is True


def test_a_local_probe_can_be_lost(out: Watched, clock: Clock) -> None:
    permit = out.admit_without_io("b")
    assert permit is not None
    assert out.settling.without_io(permit, Verdict.FAILURE)
    slow = out.admit_without_io("b")
    assert slow is not None
    assert answered(out.renewal(slow)) is True
    clock.advance(30.0)
    assert out.admit_without_io("b") is not None
    assert answered(out.renewal(slow)) is False


def test_a_local_probe_changes_nothing_in_a_clean_store(out: Watched) -> None:
    for verdict in (Verdict.FAILURE, Verdict.SUCCESS):
        permit = out.admit_without_io("b")
        assert permit is not None
        assert out.settling.without_io(permit, verdict)
    assert answered(out.recovery.recover(), {"b": CLEAN}) is True


def test_the_view_is_not_refreshed_in_an_outage(controller: Watched) -> None:
    answered(controller.admission("b"), CLEAN)
    answered(controller.insight.seen("c"), GONE)
    assert controller.view is not None
    controller.view.record(CLEAN, 1000.0)
    assert answered(controller.refresh.run()) is True


def test_check_store_asks_the_store_when_there_is_no_outage(controller: Watched) -> None:
    assert answered(controller.recovery.answers(), CLEAN, None) is True
    assert answered(controller.recovery.recover()) is True
    assert answered(controller.recovery.answers(), GONE) is False
    assert controller.is_out


def test_the_outage_continues_while_the_store_refuses_writes(out: Watched) -> None:
    assert answered(out.recovery.answers(), CLEAN, GONE) is False
    assert out.is_out


def test_the_outage_continues_if_the_store_fails_during_the_recovery(out: Watched) -> None:
    assert answered(out.recovery.answers(), GONE) is False
    assert answered(out.recovery.answers(), CLEAN, None) is True
    assert out.is_out
    answered(out.demands.trip("b", 60.0))
    assert answered(out.recovery.recover(), GONE) is False
    assert out.is_out
    assert answered(out.recovery.recover(), {"b": CLEAN}, CLEAN, OPENED) is True
    assert not out.is_out


@pytest.mark.parametrize(
    ("answers", "recovered"), [([{"b": CLEAN}, CLEAN, OPENED], True), ([{"b": CLEAN}, CLEAN, GONE], False)]
)
def test_a_call_that_ends_during_the_recovery_is_reported(out: Watched, answers: list[object], recovered: bool) -> None:
    permit = out.admit_without_io("b")
    assert permit is not None

    def end_the_call(event: BreakerEvent) -> None:
        if isinstance(event, StoreRecovered):
            out.outage.settle(permit, Verdict.FAILURE, uncounted=True)

    out.notifier.add(end_the_call)
    before = out.watches
    assert answered(out.recovery.recover()) is True
    assert out.watches > before
    assert out.recovery.has_work
    assert isinstance(out.admit_without_io("b"), LocalPermit), "until the store has heard of it"
    assert answered(out.recovery.recover(), *answers) is recovered
    assert out.is_out is not recovered
    assert out.recovery.has_work is not recovered


def test_the_raised_error_is_the_latest_error_of_the_store(clock: Clock) -> None:
    controller = Watched(clock, "raise")
    with pytest.raises(StoreUnavailableError):
        answered(controller.admission("b"), GONE)
    assert answered(controller.recovery.answers(), SchemaError("run migrate")) is False
    with pytest.raises(SchemaError, match="run migrate"):
        controller.admit_without_io("b")


def test_a_snapshot_read_in_an_outage_does_not_enter_the_view(out: Watched) -> None:
    assert answered(out.insight.snapshot("b"), CLEAN) == CLEAN
    assert out.view is not None
    assert out.view.fresh_permit("b") is None
