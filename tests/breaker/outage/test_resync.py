"""Tests of the reports that a process sends to the store after an outage."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cbstore_sql import DEFAULT_POLICY, StoreError, StoreUnavailableError, TooManyBreakersError
from cbstore_sql.breaker.flow import CallFlow
from cbstore_sql.breaker.outage.local import LocalBreakers
from cbstore_sql.breaker.outage.outbox import Outbox, PendingReport
from cbstore_sql.breaker.outage.resync import Resync
from cbstore_sql.core.model import LocalPermit, Permit, Row, Snapshot, State, Transition, Verdict
from cbstore_sql.runtime import sansio
from cbstore_sql.stores.call import StoreCall, StoreCalls
from tests.breaker.answers import answered
from tests.breaker.drivers import Clock

GONE = StoreUnavailableError("gone", applied=False)
UNKNOWN = StoreUnavailableError("gone")
CLEAN = Snapshot.of("b", Row(generation=4), 1000.0)
DIRTY = CLEAN._replace(failure_count=4)
COUNTED = Transition(State.CLOSED, CLEAN._replace(failure_count=2))
CLEARED = Transition(State.CLOSED, CLEAN)
OPENED = Transition(State.CLOSED, CLEAN._replace(state=State.OPEN, generation=5, open_until=1060.0))
CLOSED_SINCE = CLEAN._replace(generation=7)
PROBE = Permit("b", 6, "me")


def read(snapshot: Snapshot = CLEAN) -> Mapping[str, Snapshot]:
    """The answer of `read_many` about one breaker."""
    return {"b": snapshot}


class Bench(Resync):
    """A resync and its parts."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.local = LocalBreakers(lambda _: DEFAULT_POLICY, lambda _: None, reopen_on_no_verdict=False, clock=clock)
        self.outbox = Outbox(clock)
        self.accepted = 0
        super().__init__(CallFlow(lambda _: DEFAULT_POLICY, lambda _: None), self.local, self.outbox)

    def knows(self, snapshot: Snapshot) -> None:
        self.local.note(snapshot, self.clock.now)

    def fails(self, times: int) -> None:
        for _ in range(times):
            self.local.settle(Permit("b", self.local.read("b").generation), Verdict.FAILURE, uncounted=True)

    def succeeds(self, times: int) -> None:
        for _ in range(times):
            self.local.settle(self.local.admit("b"), Verdict.SUCCESS, uncounted=True)

    def all_changes(self) -> StoreCalls[None]:
        return self.changes(self._count)

    def _count(self) -> None:
        self.accepted += 1


def made(calls: StoreCalls[None], *answers: object) -> list[StoreCall]:
    """Return the store calls that follow from these answers, and close the generator."""
    asked = [next(calls)]
    try:
        for answer in answers:
            asked.append(calls.throw(answer) if isinstance(answer, Exception) else calls.send(answer))
    except StopIteration:
        pass
    calls.close()
    return asked


def written(calls: StoreCalls[None], *answers: object) -> list[tuple[str, int | None]]:
    return [(call.operation, call.keywords.get("failures")) for call in made(calls, *answers)]


@pytest.fixture
def bench(clock: Clock) -> Bench:
    return Bench(clock)


@pytest.mark.parametrize(
    ("report", "asked"),
    [
        (PendingReport(PROBE, Verdict.SUCCESS), "record_success"),
        (PendingReport(PROBE, Verdict.FAILURE), "record_failure"),
        (PendingReport(PROBE, None, 2000.0), "read"),
    ],
)
def test_a_report_about_a_probe_is_repeated_until_the_store_answers(
    bench: Bench, report: PendingReport, asked: str
) -> None:
    bench.outbox.put(report)
    with pytest.raises(StoreUnavailableError):
        answered(bench.probes(), UNKNOWN)
    assert [call.operation for call in made(bench.probes())] == [asked], "and closed in the middle, it is kept"
    mine = CLEAN._replace(state=State.HALF_OPEN, probe_token="me")
    answered(bench.probes(), *([mine, CLEARED] if asked == "read" else [None]))
    answered(bench.probes())
    assert bench.outbox.is_empty


def test_a_claim_that_the_store_does_not_show_yet_is_searched_again(bench: Bench, clock: Clock) -> None:
    bench.outbox.claimed("b", "me")
    opened = OPENED.snapshot
    answered(bench.probes(), opened)
    answered(bench.probes(), opened._replace(state=State.HALF_OPEN, probe_token="me"), CLEARED)
    answered(bench.probes())
    bench.outbox.claimed("b", "me")
    clock.advance(3600.0)
    answered(bench.probes(), opened)
    answered(bench.probes())


def test_the_first_failure_is_reported_alone_and_the_others_together(bench: Bench) -> None:
    bench.fails(3)
    assert written(bench.all_changes(), read(), COUNTED, COUNTED) == [
        ("read_many", None),
        ("record_failure", 1),
        ("record_failure", 2),
    ]
    answered(bench.all_changes())
    assert bench.accepted == 1


def test_successes_are_reported_with_the_failures_after_them(bench: Bench) -> None:
    bench.knows(DIRTY)
    bench.succeeds(1000)
    bench.fails(1)
    asked = made(bench.all_changes(), read(DIRTY), COUNTED)
    assert [(call.operation, dict(call.keywords)) for call in asked[1:]] == [
        ("record_failure", {"failures": 1, "successes": 1000})
    ]
    answered(bench.all_changes())


def test_a_success_without_failures_is_reported_only_if_the_store_has_failures(bench: Bench) -> None:
    bench.knows(DIRTY)
    for snapshot, answers in ((DIRTY, [CLEARED]), (CLEAN, [])):
        bench.local.clear()
        bench.succeeds(1)
        answered(bench.all_changes(), read(snapshot), *answers)


@pytest.mark.parametrize(("error", "others"), [(GONE, 3), (UNKNOWN, 2)])
def test_a_failure_that_the_store_may_have_counted_is_not_reported_again(
    bench: Bench, error: StoreError, others: int
) -> None:
    bench.fails(3)
    with pytest.raises(StoreUnavailableError):
        answered(bench.all_changes(), read(), error)
    assert written(bench.all_changes(), read(), COUNTED)[1:] == [("record_failure", 1), ("record_failure", others - 1)]


def test_an_interrupted_report_loses_no_failure_and_counts_none_twice(bench: Bench) -> None:
    bench.fails(3)
    assert written(bench.all_changes(), read()) == [("read_many", None), ("record_failure", 1)]
    assert written(bench.all_changes(), read(), COUNTED)[1:] == [("record_failure", 1), ("record_failure", 1)]


@pytest.mark.parametrize("error", [GONE, UNKNOWN])
def test_a_report_of_an_open_circuit_is_repeated_until_the_store_answers(bench: Bench, error: StoreError) -> None:
    bench.local.force_open("b", 60.0)
    with pytest.raises(StoreUnavailableError):
        answered(bench.all_changes(), read(), CLEAN, error)
    answered(bench.all_changes(), read(), CLEAN, OPENED)
    answered(bench.all_changes())


def test_a_circuit_that_another_process_opened_is_not_opened_again(bench: Bench) -> None:
    bench.fails(1)
    answered(bench.all_changes(), read(OPENED.snapshot))
    bench.local.force_open("b", 60.0)
    answered(bench.all_changes(), read(), OPENED.snapshot)
    answered(bench.all_changes())


def test_a_circuit_that_others_opened_and_closed_meanwhile_is_not_opened_again(bench: Bench) -> None:
    bench.knows(CLEAN)
    bench.local.force_open("b", 60.0)
    answered(bench.all_changes(), read(CLOSED_SINCE), CLOSED_SINCE)
    bench.fails(1)
    answered(bench.all_changes(), read(CLOSED_SINCE))
    answered(bench.all_changes())


def test_knowledge_from_long_ago_does_not_prevent_the_report_of_an_opening(bench: Bench, clock: Clock) -> None:
    bench.knows(CLEAN)
    clock.advance(3600.0)
    bench.local.force_open("b", 60.0)
    answered(bench.all_changes(), read(CLOSED_SINCE), CLOSED_SINCE, OPENED)


@pytest.mark.parametrize(("closed_ago", "opens"), [(10.0, False), (30.0, True)])
def test_for_an_unknown_breaker_the_time_of_its_last_closing_decides(
    bench: Bench, clock: Clock, closed_ago: float, opens: bool
) -> None:
    bench.local.force_open("b", 60.0)
    clock.advance(20.0)
    closed = CLOSED_SINCE._replace(closed_at=CLOSED_SINCE.as_of - closed_ago)
    answered(bench.all_changes(), read(closed), closed, *([OPENED] if opens else []))


def test_circuits_that_an_emptied_store_lost_are_opened_again(bench: Bench) -> None:
    bench.knows(OPENED.snapshot)
    (read_many, force_open) = made(bench.lost_circuits(), read(CLEAN._replace(generation=0)), OPENED)
    assert read_many.arguments == (["b"],)
    assert force_open.operation == "force_open"
    assert force_open.arguments == ("b", 60.0)
    for snapshot in (OPENED.snapshot, CLOSED_SINCE):
        answered(bench.lost_circuits(), read(snapshot))


def test_many_breakers_are_read_in_few_calls(bench: Bench) -> None:
    names = [f"{number}" for number in range(250)]
    for name in names:
        bench.local.settle(Permit(name, 0), Verdict.FAILURE, uncounted=True)
    calls, batches = bench.all_changes(), []

    def store(call: StoreCall) -> object:
        if call.operation == "read_many":
            batches.append(call.arguments[0])
            return {name: CLEAN._replace(name=name) for name in call.arguments[0]}
        return COUNTED

    sansio.run(calls, store)
    assert [len(batch) for batch in batches] == [100, 100, 50]
    assert sorted(name for batch in batches for name in batch) == sorted(names)


def test_a_full_namespace_does_not_delay_the_reports_of_other_breakers(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.fails(1)
    bench.local.force_open("c", 60.0)
    answers = {"b": CLEAN, "c": CLEAN._replace(name="c")}
    answered(bench.all_changes(), answers, answers["c"], TooManyBreakersError("default", 1), COUNTED)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    answered(bench.all_changes())


def test_a_late_call_is_reported_only_if_it_failed(bench: Bench) -> None:
    for verdict in (Verdict.SUCCESS, Verdict.NONE):
        answered(bench.late(LocalPermit("b", 4), verdict))
    assert written(bench.late(LocalPermit("b", 4), Verdict.FAILURE), CLEAN) == [("read", None), ("record_failure", 1)]


def test_a_late_failure_of_an_earlier_generation_is_dropped(bench: Bench) -> None:
    answered(bench.late(LocalPermit("b", 4), Verdict.FAILURE), CLOSED_SINCE)
