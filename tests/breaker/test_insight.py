"""What people ask about a breaker, with the store and without it."""

from __future__ import annotations

import pytest

from cbstore_sql import InvalidNameError, State
from cbstore_sql.breaker.controller import BreakerController
from cbstore_sql.core.history import HistoryEntry
from cbstore_sql.core.model import Row, Snapshot
from cbstore_sql.errors import StoreUnavailableError
from tests.breaker.answers import answered

GONE = StoreUnavailableError("gone", applied=False)
CLEAN = Snapshot.of("b", Row(generation=4), 5000.0)
ENTRY = HistoryEntry(4990.0, State.OPEN, State.CLOSED, "reset", "alice")
ALONE = "The store does not answer"


def test_while_the_store_answers_it_is_the_one_that_is_asked() -> None:
    insight = BreakerController().insight
    assert answered(insight.snapshot("b"), CLEAN) == CLEAN
    assert answered(insight.seen("b"), CLEAN) == CLEAN
    assert answered(insight.history("b"), (ENTRY,)) == (ENTRY,)
    assert ALONE not in answered(insight.explanation("b"), CLEAN, (ENTRY,))


def test_without_the_store_the_breaker_of_this_process_is_shown() -> None:
    controller = BreakerController()
    assert answered(controller.insight.seen("b"), GONE).state is State.CLOSED
    answered(controller.demands.trip("b", 60.0))
    assert answered(controller.insight.seen("b")).state is State.OPEN
    assert ALONE in answered(controller.insight.explanation("b"))


def test_an_explanation_lacks_only_the_history_that_could_not_be_read() -> None:
    controller = BreakerController()
    assert ALONE in answered(controller.insight.explanation("b"), CLEAN, GONE)
    assert controller.is_out


def test_an_invalid_name_never_reaches_the_store() -> None:
    insight = BreakerController().insight
    for asked in (insight.snapshot, insight.history):
        with pytest.raises(InvalidNameError):
            answered(asked("\0"))
