"""Ambient deadlines."""

from __future__ import annotations

import asyncio
import threading

from cbstore_sql.deadline import remaining, within


def test_there_is_no_deadline_unless_within_sets_it() -> None:
    assert remaining() is None
    with within(None):
        assert remaining() is None


def test_a_deadline_ends_with_its_block() -> None:
    with within(60.0):
        left = remaining()
        assert left is not None
        assert 0.0 < left <= 60.0
    assert remaining() is None


def test_the_earlier_of_two_deadlines_applies() -> None:
    with within(0.0), within(60.0):
        assert remaining() == 0.0
    with within(60.0), within(0.0):
        assert remaining() == 0.0
    with within(0.0), within(None):
        assert remaining() == 0.0


def test_a_task_inherits_the_deadline_and_a_thread_does_not() -> None:
    seen: list[float | None] = []

    async def note() -> None:
        seen.append(remaining())

    async def start() -> None:
        with within(0.0):
            task = asyncio.create_task(note())
        await task

    asyncio.run(start())
    with within(0.0):
        thread = threading.Thread(target=lambda: seen.append(remaining()))
        thread.start()
        thread.join()
    assert seen == [0.0, None]
