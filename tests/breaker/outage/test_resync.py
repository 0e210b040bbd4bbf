"""What a store that answers again is asked, and what is kept for the next time."""

from __future__ import annotations

import pytest

from cbstore_sql import DEFAULT_POLICY, SchemaError, StoreError, StoreUnavailableError, TooManyBreakersError
from cbstore_sql.breaker.flow import CallFlow, StoreCalls
from cbstore_sql.breaker.outage.local import LocalBreakers
from cbstore_sql.breaker.outage.outbox import Outbox, PendingReport
from cbstore_sql.breaker.outage.resync import Resync, was_not_applied
from cbstore_sql.core.model import Permit, Row, Snapshot, State, Transition, Verdict
from cbstore_sql.stores.call import StoreCall
from tests.breaker.answers import answered

GONE = StoreUnavailableError("gone", applied=False)
UNKNOWN = StoreUnavailableError("gone")
CLEAN = Snapshot.of("b", Row(generation=4), 1000.0)
COUNTED = Transition(State.CLOSED, CLEAN._replace(failure_count=2))
OPENED = Transition(State.CLOSED, CLEAN._replace(state=State.OPEN, generation=5, open_until=1060.0))
PROBE = Permit("b", 6, "me")


class Handing(Resync):
    """A hand-over and its parts."""

    def __init__(self) -> None:
        self.local = LocalBreakers(lambda _: DEFAULT_POLICY, lambda _: None, reopen_on_no_verdict=False)
        self.owed = Outbox()
        super().__init__(CallFlow(lambda _: DEFAULT_POLICY, lambda _: None), self.local, self.owed)

    def fails(self, times: int) -> None:
        for _ in range(times):
            self.local.settle(Permit("b", 0), Verdict.FAILURE, uncounted=True)


def last_ask(steps: StoreCalls[None], *answers: object) -> StoreCall:
    ask = next(steps)
    for answer in answers:
        ask = steps.send(answer)
    steps.close()
    return ask


@pytest.fixture
def handing() -> Handing:
    return Handing()


@pytest.mark.parametrize(("error", "not_applied"), [(GONE, True), (UNKNOWN, False), (SchemaError("no table"), True)])
def test_what_surely_had_no_effect(error: StoreError, not_applied: bool) -> None:
    assert was_not_applied(error) is not_applied


@pytest.mark.parametrize(
    ("debt", "asked"),
    [
        (PendingReport(PROBE, Verdict.SUCCESS), "record_success"),
        (PendingReport(PROBE, Verdict.FAILURE), "record_failure"),
        (PendingReport(PROBE, None), "read"),
    ],
)
def test_what_a_probe_owes_is_said_until_it_is_heard(handing: Handing, debt: PendingReport, asked: str) -> None:
    handing.owed.put(debt)
    with pytest.raises(StoreUnavailableError):
        answered(handing.everything(), UNKNOWN)
    assert last_ask(handing.everything()).operation == asked
    handing.owed.put(debt)
    answered(handing.everything(), CLEAN if asked == "read" else None)
    answered(handing.everything())


def test_a_first_failure_is_brought_alone_and_then_the_others_in_one(handing: Handing) -> None:
    handing.fails(3)
    steps = handing.everything()
    asks = [next(steps), *(steps.send(answer) for answer in (CLEAN, COUNTED, CLEAN))]
    assert [ask.keywords.get("failures") for ask in asks] == [None, 1, None, 2]
    with pytest.raises(StopIteration):
        steps.send(COUNTED)
    answered(handing.everything())


@pytest.mark.parametrize(("error", "others"), [(GONE, 2), (UNKNOWN, 1)])
def test_a_failure_the_store_may_have_counted_is_not_brought_again(
    handing: Handing, error: StoreError, others: int
) -> None:
    handing.fails(3)
    with pytest.raises(StoreUnavailableError):
        answered(handing.everything(), CLEAN, error)
    assert last_ask(handing.everything(), CLEAN, COUNTED, CLEAN).keywords == {"failures": others}


@pytest.mark.parametrize("error", [GONE, UNKNOWN])
def test_an_open_circuit_is_brought_until_it_is_heard(handing: Handing, error: StoreError) -> None:
    handing.local.force_open("b", 60.0)
    with pytest.raises(StoreUnavailableError):
        answered(handing.everything(), CLEAN, error)
    answered(handing.everything(), CLEAN, OPENED)
    answered(handing.everything())


def test_a_circuit_that_somebody_else_opened_is_left_to_him(handing: Handing) -> None:
    handing.fails(1)
    answered(handing.everything(), OPENED.snapshot)


def test_a_full_namespace_keeps_nobody_else_waiting(handing: Handing, caplog: pytest.LogCaptureFixture) -> None:
    handing.fails(1)
    handing.local.force_open("c", 60.0)
    answered(handing.everything(), CLEAN, TooManyBreakersError("default", 1), CLEAN, COUNTED)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_of_a_late_call_only_its_failure_is_news(handing: Handing) -> None:
    for verdict in (Verdict.SUCCESS, Verdict.NONE):
        answered(handing.late(Permit("b", 0), verdict))
    assert last_ask(handing.late(Permit("b", 0), Verdict.FAILURE), CLEAN).keywords == {"failures": 1}
