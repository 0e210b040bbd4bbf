"""Work in the background can be ended at any moment."""

from __future__ import annotations

import threading

import pytest

from cbstore_sql.periodic import Periodic


def test_it_can_be_closed_while_another_thread_starts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    started = threading.Event()

    def work() -> bool:
        started.set()
        return True

    periodic = Periodic("cbstore-test", lambda: 0.001, work)
    start = threading.Thread.start

    def closing_first(thread: threading.Thread) -> None:
        periodic.close()
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", closing_first)
        periodic.ensure()
    periodic.close()
    assert not started.is_set()
    assert "cbstore-test" not in {thread.name for thread in threading.enumerate()}
