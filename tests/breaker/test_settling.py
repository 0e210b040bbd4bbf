"""How a verdict is settled: without I/O, by the store, or by the outage policy."""

from __future__ import annotations

import pytest

from cbstore_sql.breaker.controller import BreakerController
from cbstore_sql.core.model import Permit, UnreportedPermit, Verdict
from cbstore_sql.errors import StoreUnavailableError, TooManyBreakersError
from tests.breaker.answers import answered

CALL = Permit("b", 0)
GONE = StoreUnavailableError("gone", applied=False)


def test_without_a_verdict_only_a_probe_is_reported_to_the_store() -> None:
    settling = BreakerController().settling
    assert settling.without_io(CALL, Verdict.NONE)
    assert not settling.without_io(CALL._replace(token="me"), Verdict.NONE)
    assert not settling.without_io(CALL, Verdict.FAILURE)
    assert settling.without_io(UnreportedPermit("b", 0), Verdict.FAILURE)


def test_during_an_outage_a_verdict_is_settled_in_this_process() -> None:
    controller = BreakerController()
    answered(controller.settling.by_store(CALL, Verdict.FAILURE), GONE)
    assert controller.settling.without_io(CALL, Verdict.FAILURE)
    assert controller.outage.local.read("b").failure_count == 2


def test_a_full_namespace_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    controller = BreakerController()
    for _ in range(2):
        answered(controller.settling.by_store(CALL, Verdict.FAILURE), TooManyBreakersError("default", 1))
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert not controller.is_out


@pytest.mark.parametrize("error", [TooManyBreakersError("default", 1), StoreUnavailableError("gone")])
def test_a_report_on_request_raises_what_the_store_raises(error: Exception) -> None:
    controller = BreakerController()
    with pytest.raises(type(error)):
        answered(controller.settling.by_store(CALL, Verdict.FAILURE, or_raise=True), error)
    assert not controller.is_out
