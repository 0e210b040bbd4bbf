"""Tests of the reports about probes that must still be sent to the store."""

from __future__ import annotations

import os

import pytest

from cbstore_sql.breaker.outage.outbox import CLAIM_MAY_LAND_FOR, Outbox, PendingReport
from cbstore_sql.core.model import LocalPermit, Permit, UnreportedPermit, Verdict
from tests.breaker.drivers import Clock

PROBE = Permit("b", 6, "me")


@pytest.fixture
def outbox(clock: Clock) -> Outbox:
    return Outbox(clock)


def test_only_verdicts_of_probes_in_the_store_are_kept_for_a_report(outbox: Outbox) -> None:
    for permit in (Permit("b", 6), LocalPermit("b", 6, "me"), UnreportedPermit("b", 0)):
        outbox.settled(permit, Verdict.SUCCESS)
    assert outbox.is_empty
    outbox.settled(PROBE, Verdict.SUCCESS)
    assert not outbox.is_empty
    assert outbox.next() == PendingReport(PROBE, Verdict.SUCCESS)
    assert outbox.next() is None
    assert outbox.is_empty


def test_a_claim_not_found_is_searched_again_in_each_round_until_its_lease_ends(outbox: Outbox, clock: Clock) -> None:
    outbox.claimed("b", "me")
    for _ in range(2):
        outbox.begin_round()
        claim = outbox.next()
        assert claim is not None
        outbox.put_for_later(claim)
        assert outbox.next() is None, "not in the same round"
        assert not outbox.is_empty
    clock.advance(CLAIM_MAY_LAND_FOR)
    outbox.begin_round()
    claim = outbox.next()
    assert claim is not None
    outbox.put_for_later(claim)
    assert outbox.is_empty


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_inherits_no_pending_report(outbox: Outbox) -> None:
    outbox.settled(PROBE, Verdict.SUCCESS)
    child = os.fork()
    if child == 0:
        os._exit(int(not outbox.is_empty))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not outbox.is_empty
