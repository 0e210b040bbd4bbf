"""Ambient deadlines."""

from __future__ import annotations

import asyncio
import threading

from cbstore_sql.deadline import remaining, within


def test_there_is_none_unless_it_is_set() -> None:
    assert remaining() is None
    with within(None):
        assert remaining() is None


def test_it_holds_in_its_block_and_no_longer() -> None:
    with within(60.0):
        left = remaining()
        assert left is not None
        assert 0.0 < left <= 60.0
    assert remaining() is None


def test_of_two_the_earlier_holds() -> None:
    with within(0.0), within(60.0):
        assert remaining() == 0.0
    with within(60.0), within(0.0):
        assert remaining() == 0.0
    with within(0.0), within(None):
        assert remaining() == 0.0


def test_a_task_inherits_it_and_a_thread_does_not() -> None:
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
