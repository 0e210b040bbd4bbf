"""Tests of the failover between targets, for awaited and blocking calls."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cbstore_sql import CircuitBreakerOpenError, ConfigurationError, LLMCircuitBreakerConfig, SqlStore
from cbstore_sql.llm import AsyncLLMRouter, FailedOver, FailureCategory, LLMRouter, LLMTarget
from tests.llm.tools import ApiError, busy

FIRST = LLMTarget("openai", "gpt")
SECOND = LLMTarget("anthropic", "claude")
THIRD = LLMTarget("openai", "mini")
CONFIG = LLMCircuitBreakerConfig(max_failures=1, reset_time_seconds=60)


class Apis:
    """The answers of the targets: exceptions are raised, other values returned. A target without an entry works."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []

    def __call__(self, target: LLMTarget) -> Any:
        self.asked.append(target.name)
        answer = self.answers.get(target.name, f"from {target.name}")
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Driver:
    """Drives a synchronous or an asynchronous router without awaiting."""

    def __init__(self, kind: str, store: SqlStore, targets: list[LLMTarget], **options: Any) -> None:
        self.apis = Apis()
        self.events: list[FailedOver] = []
        self.store = store
        options = {"ramp_up": 0.0, "max_staleness": 30.0, "store_timeout": 60.0, **options}
        self._loop = asyncio.new_event_loop() if kind == "awaited" else None
        router: Any = LLMRouter if self._loop is None else AsyncLLMRouter
        self.router = router(targets, store, options.pop("config", CONFIG), on_failover=self.events.append, **options)

    def call(self, **options: Any) -> Any:
        self.apis.asked.clear()
        if self._loop is None:
            return self.router.call(self.apis, **options)

        async def ask(target: LLMTarget) -> Any:
            return self.apis(target)

        return self._loop.run_until_complete(self.router.call(ask, **options))

    def do(self, method: str, *arguments: Any) -> Any:
        result = getattr(self.router, method)(*arguments)
        return result if self._loop is None else self._loop.run_until_complete(result)

    def stream(self) -> list[Any]:
        self.apis.asked.clear()
        if self._loop is None:
            with self.router.stream(lambda target: iter(self.apis(target))) as chunks:
                return list(chunks)

        async def read() -> list[Any]:
            async with self.router.stream(self._chunks) as chunks:
                return [chunk async for chunk in chunks]

        return self._loop.run_until_complete(read())

    async def _chunks(self, target: LLMTarget) -> Any:
        async def generate(given: Any) -> Any:
            for chunk in given:
                yield chunk

        return generate(self.apis(target))

    def close(self) -> None:
        self.do("close")
        if self._loop is not None:
            self._loop.close()


Make = Callable[..., Driver]


@pytest.fixture(params=["blocking", "awaited"])
def make(request: pytest.FixtureRequest, migrated_sqlite_url: str) -> Iterator[Make]:
    made: list[Driver] = []
    with SqlStore(migrated_sqlite_url, namespace=uuid.uuid4().hex) as store:

        def drive(*targets: LLMTarget, **options: Any) -> Driver:
            made.append(Driver(request.param, store, list(targets or (FIRST, SECOND, THIRD)), **options))
            return made[-1]

        yield drive
        for driver in made:
            driver.close()


def test_the_first_target_answers(make: Make) -> None:
    driver = make()
    assert driver.call() == "from openai/gpt"
    assert driver.apis.asked == ["openai/gpt"]


@pytest.mark.parametrize("error", [ApiError(503), TimeoutError(), ConnectionRefusedError(), busy(600)])
def test_a_failed_target_is_called_once_and_then_skipped(make: Make, error: Exception) -> None:
    driver = make()
    driver.apis.answers[FIRST.name] = error
    assert driver.call() == "from anthropic/claude"
    assert driver.apis.asked == ["openai/gpt", "anthropic/claude"]
    assert driver.call() == "from anthropic/claude"
    assert driver.apis.asked == ["anthropic/claude"]


def test_a_short_wait_sets_a_hold_for_the_target_and_the_next_target_answers(make: Make) -> None:
    driver = make()
    driver.apis.answers[FIRST.name] = busy(30)
    assert driver.call() == "from anthropic/claude"
    assert driver.store.read(FIRST.name).hold_until > 0
    assert make().call() == "from anthropic/claude"


@pytest.mark.parametrize("error", [ApiError(400), ValueError("mine")])
def test_an_error_that_every_target_would_return_is_raised(make: Make, error: Exception) -> None:
    driver = make()
    driver.apis.answers[FIRST.name] = error
    with pytest.raises(type(error)):
        driver.call()
    assert driver.apis.asked == ["openai/gpt"]


def test_each_target_is_called_once_and_the_last_error_is_raised_if_all_fail(make: Make) -> None:
    driver = make()
    last = ApiError(503)
    driver.apis.answers = {FIRST.name: ApiError(500), SECOND.name: ApiError(500), THIRD.name: last}
    with pytest.raises(ApiError) as raised:
        driver.call()
    assert raised.value is last
    assert driver.apis.asked == [FIRST.name, SECOND.name, THIRD.name]
    with pytest.raises(CircuitBreakerOpenError):
        driver.call()
    assert driver.apis.asked == []


def test_a_failed_call_raises_its_error_if_no_other_target_admits_it(make: Make) -> None:
    driver = make(FIRST, SECOND)
    driver.store.force_open(SECOND.name, 60)
    driver.apis.answers[FIRST.name] = ApiError(500)
    with pytest.raises(ApiError):
        driver.call()
    assert driver.apis.asked == [FIRST.name]


def test_calls_return_to_the_primary_after_its_probe_closed_the_circuit(make: Make) -> None:
    driver = make(max_staleness=0.0)
    driver.apis.answers[FIRST.name] = ApiError(503)
    driver.call()
    driver.store.reset(FIRST.name)
    driver.store.force_open(FIRST.name, 0)
    assert driver.call() == "from anthropic/claude", "the probe failed"
    assert driver.apis.asked == ["openai/gpt", "anthropic/claude"]
    driver.apis.answers.clear()
    driver.store.reset(FIRST.name)
    driver.store.force_open(FIRST.name, 0)
    assert driver.call() == "from openai/gpt"
    assert driver.store.read(FIRST.name).state.value == "closed"
    assert driver.call() == "from openai/gpt"


def test_calls_go_to_the_secondary_during_a_probe_of_the_primary(make: Make) -> None:
    driver = make()
    driver.store.force_open(FIRST.name, 0)
    assert driver.store.claim_probe(FIRST.name) is not None
    assert driver.call() == "from anthropic/claude"


def test_a_rejected_key_disables_all_its_models_until_reset_key(make: Make) -> None:
    driver = make()
    driver.apis.answers[FIRST.name] = ApiError(401)
    assert driver.call() == "from anthropic/claude"
    assert driver.store.read(THIRD.name).retry_after > 1e8
    assert driver.call() == "from anthropic/claude"
    assert driver.apis.asked == ["anthropic/claude"]
    driver.apis.answers.clear()
    driver.do("reset_key", "openai")
    assert driver.call() == "from openai/gpt"


def test_another_key_of_the_same_provider_still_works(make: Make) -> None:
    other = LLMTarget("openai", "gpt", key="team-b")
    driver = make(FIRST, other)
    driver.apis.answers[FIRST.name] = ApiError(401)
    assert driver.call() == "from openai/gpt#team-b"


@pytest.mark.parametrize(("down_at", "answers"), [(2, "anthropic/claude"), (3, "openai/nano"), (None, "openai/nano")])
def test_other_models_of_a_provider_that_is_down_are_called_last(make: Make, down_at: int | None, answers: str) -> None:
    driver = make(FIRST, THIRD, LLMTarget("openai", "nano"), SECOND, provider_down_at=down_at)
    driver.call()
    for target in (FIRST, THIRD):
        driver.apis.answers[target.name] = ApiError(503)
    driver.call()
    assert driver.router.down_providers() == ({"openai"} if down_at == 2 else set())
    assert driver.call() == f"from {answers}"


def test_two_keys_of_one_model_count_as_one_model(make: Make) -> None:
    driver = make(FIRST, LLMTarget("openai", "gpt", key="b"), THIRD, SECOND)
    for name in (FIRST.name, "openai/gpt#b"):
        driver.apis.answers[name] = ApiError(503)
    driver.call()
    assert driver.router.down_providers() == set()


def test_a_provider_that_is_down_is_called_if_no_other_target_is_left(make: Make) -> None:
    driver = make(FIRST, THIRD, LLMTarget("openai", "nano"), SECOND)
    for target in (FIRST, THIRD, SECOND):
        driver.store.force_open(target.name, 60)
    assert driver.call() == "from openai/nano"


def test_a_conversation_stays_with_its_target(make: Make) -> None:
    driver = make(max_staleness=0.0)
    driver.store.force_open(FIRST.name, 60)
    assert driver.call(conversation="c1") == "from anthropic/claude"
    driver.store.reset(FIRST.name)
    assert driver.call(conversation="c1") == "from anthropic/claude"
    assert driver.call(conversation="c2") == "from openai/gpt"
    assert driver.call() == "from openai/gpt"


def test_an_event_is_emitted_for_the_failover_and_for_the_return(make: Make) -> None:
    driver = make(max_staleness=0.0)
    driver.call()
    driver.apis.answers[FIRST.name] = ApiError(503)
    driver.call()
    driver.call()
    driver.store.reset(FIRST.name)
    driver.apis.answers.clear()
    driver.call()
    assert driver.events == [
        FailedOver(SECOND.name, FIRST.name, FailureCategory.TRANSIENT),
        FailedOver(FIRST.name, SECOND.name, None),
    ]


def test_a_stream_fails_over_until_a_target_opens_one(make: Make) -> None:
    driver = make()
    driver.apis.answers = {FIRST.name: ApiError(503), SECOND.name: ["a", "b"]}
    assert driver.stream() == ["a", "b"]
    assert driver.apis.asked == [FIRST.name, SECOND.name]


def test_an_error_in_the_body_of_a_200_fails_over(make: Make) -> None:
    driver = make()
    driver.apis.answers[FIRST.name] = {"error": {"code": 502, "message": "upstream"}}
    assert driver.call() == "from anthropic/claude"


@pytest.mark.parametrize("targets", [[], [FIRST, LLMTarget("openai", "gpt")], ["openai/gpt"]])
def test_targets_with_the_same_name_or_no_target_are_refused(targets: list[Any]) -> None:
    with pytest.raises(ConfigurationError):
        LLMRouter(targets, store=None)  # type: ignore[arg-type] # refused before the store is looked at
