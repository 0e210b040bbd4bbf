"""Tests of should_block_async and the record methods in an event loop, over both kinds of store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from cbstore_sql import Store
from tests.llm.tools import NAME, RESET, Bench, run
from tests.stores.contract.backends import SHARED, Backend, make_backend, open_async_store


@pytest.fixture(params=SHARED)
def backend(request: pytest.FixtureRequest) -> Backend:
    return make_backend(request.param, request)


@pytest.fixture
def blocking(backend: Backend) -> Iterator[Store]:
    """A synchronous store over the same breakers, with which the test reads their states."""
    with backend.open(uuid.uuid4().hex) as store:
        yield store


def test_over_an_async_store_failures_open_the_circuit_and_a_successful_probe_closes_it(
    backend: Backend, blocking: Store
) -> None:
    async def scene() -> None:
        async with open_async_store(backend.name, backend.url, blocking.namespace) as store:
            breaker = Bench(store).breaker
            for _ in range(3):
                assert not await breaker.should_block_async()
                await breaker.record_failure_async("http_500")
            assert await breaker.should_block_async()
            assert (await breaker.state_async()).value == "open"
            assert await breaker.failure_count_async() == 3
            await breaker.reset_async()
            await store.force_open(NAME, 0)
            assert not await breaker.should_block_async()
            assert breaker.permit is not None
            assert breaker.permit.is_probe
            await breaker.record_success_async()

    run(scene())
    assert blocking.read(NAME).state.value == "closed"


def test_a_forced_open_time_is_never_shortened(bench: Bench) -> None:
    async def scene() -> None:
        await bench.breaker.force_open_async("quota", 600)
        await bench.breaker.force_open_async("quota")

    run(scene())
    assert bench.store.read(NAME).retry_after == 600.0


def test_a_caller_without_admission_can_report_only_to_a_closed_circuit(bench: Bench) -> None:
    run(bench.breaker.record_failure_async())
    assert bench.breaker.failure_count == 1
    bench.open()
    run(bench.breaker.record_success_async())
    assert bench.state == "open"


def test_a_permit_can_be_passed_to_another_task(bench: Bench) -> None:
    async def scene() -> None:
        assert not await bench.breaker.should_block_async()
        permit = bench.breaker.permit
        await bench.breaker.record_success_async(permit=permit)

    bench.due()
    run(scene())
    assert bench.state == "closed"


def test_a_second_should_block_does_not_lose_the_probe(bench: Bench) -> None:
    async def scene() -> None:
        assert not await bench.breaker.should_block_async()
        assert await bench.breaker.should_block_async()
        await bench.breaker.record_success_async()

    bench.due()
    run(scene())
    assert bench.state == "closed"


def test_a_disabled_breaker_neither_reports_nor_blocks() -> None:
    async def scene() -> bool:
        await bench.breaker.record_failure_async()
        await bench.breaker.force_open_async()
        await bench.breaker.record_success_async()
        return await bench.breaker.should_block_async()

    bench = Bench(enabled=False)
    bench.open()
    assert run(scene()) is False
    assert bench.store.read(NAME).retry_after == RESET
