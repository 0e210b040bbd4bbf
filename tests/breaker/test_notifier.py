"""Which events the listeners of a breaker receive, and when a call is timed."""

from __future__ import annotations

from cbstore_sql.breaker.notifier import Notifier
from cbstore_sql.core.model import Verdict
from cbstore_sql.events import BreakerEvent, CallFinished


def test_a_call_is_timed_only_if_someone_listened_when_it_began() -> None:
    notifier = Notifier()
    received: list[BreakerEvent] = []
    began = notifier.call_began()
    notifier.add(received.append)
    notifier.call_ended("b", Verdict.SUCCESS, began)
    assert not received
    notifier.call_ended("b", Verdict.SUCCESS, notifier.call_began())
    assert [type(event) for event in received] == [CallFinished]


def test_listeners_given_at_the_start_are_known_at_the_start() -> None:
    assert not Notifier().listeners
    assert Notifier([lambda _: None]).listeners
