"""Work in the background can be ended at any moment."""

from __future__ import annotations

import threading

import pytest

from cbstore_sql.runtime.periodic import Periodic


class Work:
    """Something to do again and again."""

    def __init__(self) -> None:
        self.done = threading.Event()

    def once_more(self) -> bool:
        self.done.set()
        return True


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_it_ends_with_whom_it_is_for() -> None:
    work = Work()
    periodic = Periodic("cbstore-test", lambda: 0.001, work.once_more)
    periodic.ensure()
    assert work.done.wait(30.0)
    thread = next(thread for thread in threading.enumerate() if thread.name == "cbstore-test")
    del work
    thread.join(30.0)
    assert not thread.is_alive()


def test_it_can_be_closed_while_another_thread_starts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work()
    periodic = Periodic("cbstore-test", lambda: 0.001, work.once_more)
    start = threading.Thread.start

    def closing_first(thread: threading.Thread) -> None:
        periodic.close()
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", closing_first)
        periodic.ensure()
    periodic.close()
    assert not work.done.is_set()
    assert "cbstore-test" not in threads()
