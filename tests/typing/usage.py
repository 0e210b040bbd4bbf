"""Everything public, used once and as a user writes it. It is not run: type checkers read it."""

# pyright: strict

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import redis
import redis.asyncio
import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import create_async_engine
from typing_extensions import assert_type

from cbstore_sql import (
    DEFAULT_CIRCUIT_BREAKER_STATE,
    DEFAULT_POLICY,
    AsyncCircuitBreaker,
    AsyncInMemoryStore,
    AsyncRedisStore,
    AsyncSqlStore,
    AsyncStore,
    BreakerNotStoredError,
    BreakerPolicy,
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerMetrics,
    CircuitBreakerOpenError,
    CircuitBreakerStore,
    CircuitState,
    ConfigurationError,
    FailureRate,
    FleetCollector,
    GuardInUseError,
    HistoryEntry,
    InMemoryStore,
    InvalidArgumentError,
    InvalidNameError,
    InvalidPolicyError,
    InvalidStateError,
    LLMCircuitBreaker,
    LLMCircuitBreakerConfig,
    MissingExtraError,
    OpenTelemetryMetrics,
    Permit,
    PushState,
    RateLimitAction,
    RedisStore,
    SchemaError,
    Snapshot,
    SqlStore,
    State,
    Store,
    StoreConflictError,
    StoreError,
    StoreUnavailableError,
    TooManyBreakersError,
    Transition,
    UnknownBreakerError,
    UnstorableNameError,
    Verdict,
    classify_429,
    extract_retry_after,
    extract_status_code,
    log_events,
    make_store,
    migrate,
    prune,
)
from cbstore_sql.events import BreakerEvent, CallFinished, Opened, Rejected
from cbstore_sql.migration import downgrade, ignore_breakers, include_name, migration_sql

url = "postgresql+psycopg://app@db/app"
policy = BreakerPolicy(failure_threshold=5, recovery_timeout=30.0, probe_lease=60.0)
breaker = CircuitBreaker(SqlStore(url), policy)
abreaker = AsyncCircuitBreaker(AsyncSqlStore(url), policy)


class Order:
    """What is charged."""


def send(order: Order, *, twice: bool = False) -> str:
    return "charged twice" if twice else "charged"


# A decorator keeps the signature.


@breaker("billing")
def charge(order: Order, *, twice: bool = False) -> str:
    return send(order, twice=twice)


async def asend(order: Order, *, twice: bool = False) -> str:
    return await asyncio.to_thread(send, order, twice=twice)


@abreaker("billing", fallback=lambda refused: f"queued until {refused.retry_after}")
async def acharge(order: Order, *, twice: bool = False) -> str:
    return await asend(order, twice=twice)


def decorated(order: Order) -> Callable[[Order], Coroutine[Any, Any, str]]:
    assert_type(charge(order, twice=True), str)
    plain: Callable[[Order], str] = charge
    assert_type(plain(order), str)
    return acharge


# A call, a block, by hand.


def guarded(order: Order) -> None:
    assert_type(breaker.call("billing", send, order, twice=True), str)
    assert_type(breaker.call("sums", max, 1, 2), int)
    with breaker.guard("billing") as given:
        assert_type(given, Permit)
    permit = breaker.admit("billing")
    assert_type(permit, Permit)
    assert_type(permit.is_probe, bool)
    assert_type(breaker.renew(permit), bool)
    breaker.success(permit)
    breaker.failure(permit)
    breaker.failure(permit, ValueError())
    breaker.release(permit)
    assert_type(breaker.push_state, PushState | None)


async def aguarded(order: Order) -> None:
    assert_type(await acharge(order), str)
    assert_type(await abreaker.call("billing", asend, order, twice=True), str)
    async with abreaker.guard("billing") as given:
        assert_type(given, Permit)
    permit = await abreaker.admit("billing")
    assert_type(permit, Permit)
    assert_type(await abreaker.renew(permit), bool)
    await abreaker.success(permit)
    await abreaker.failure(permit, ValueError())
    await abreaker.release(permit)
    assert_type(await abreaker.state("billing"), State)
    assert_type(await abreaker.snapshot("billing"), Snapshot)
    assert_type(await abreaker.force_open("billing", 30.0), Transition)
    assert_type(await abreaker.reset("billing"), Transition)


def refused(order: Order) -> tuple[str, str, float]:
    try:
        charge(order)
    except CircuitBreakerOpenError as error:
        assert_type(error.name, str)
        assert_type(error.state, str)
        assert_type(error.retry_after, float)
        return error.name, error.state, error.retry_after
    return "", "", 0.0


def looked_at() -> None:
    assert_type(breaker.state("billing"), State)
    assert_type(breaker.state("billing") is State.OPEN, bool)
    snapshot = breaker.snapshot("billing")
    assert_type(snapshot, Snapshot)
    assert_type(snapshot.retry_after, float)
    assert_type(snapshot.failure_count, int)
    assert_type(breaker.force_open("billing", 30.0), Transition)
    assert_type(breaker.reset("billing").changed, bool)


# Every setting.


def on_event(event: BreakerEvent) -> None:
    match event:
        case Opened():
            assert_type(event.snapshot, Snapshot)
        case Rejected():
            assert_type(event.retry_after, float)
        case CallFinished(seconds=seconds, verdict=verdict):
            assert_type(seconds, float)
            assert_type(verdict, Verdict)
        case _:
            assert_type(event.name, str)


def later(error: CircuitBreakerOpenError) -> str:
    return f"later, in {error.retry_after} s"


async def alater(error: CircuitBreakerOpenError) -> str:
    return later(error)


def every_setting(store: Store, awaited: AsyncStore) -> None:
    with CircuitBreaker(
        store,
        DEFAULT_POLICY,
        policies={"search": BreakerPolicy(success_threshold=2, backoff_multiplier=2.0, max_recovery_timeout=600.0)},
        record_on=(OSError,),
        ignore=(FileNotFoundError,),
        is_failure=lambda error: "try later" not in str(error),
        is_failed_result=lambda result: result is None,
        fallback=later,
        reopen_on_no_verdict=True,
        store_timeout=1.0,
        on_store_outage="block",
        listeners=[on_event, log_events()],
        max_staleness=0.0,
        flush_interval=0.003,
    ) as every:
        every.add_listener(on_event)
        assert_type(every.check_store(), bool)
    AsyncCircuitBreaker(awaited, policy, fallback=alater, store_timeout=None, on_store_outage="local")
    AsyncCircuitBreaker(store, policy, fallback=later)


# Stores.


def stores(engine: sa.Engine, client: redis.Redis) -> Iterator[Store]:
    with SqlStore(url, namespace="shop", schema="team", durability="relaxed") as store:
        assert_type(store, SqlStore)
        assert_type(store.read_all(), list[tuple[str, Snapshot]])
        yield store
    yield SqlStore(engine)
    yield SqlStore(engine=engine)
    yield RedisStore(client, ttl=60, key_prefix="shop")
    yield RedisStore.from_url("redis://localhost")
    yield InMemoryStore(clock=lambda: 0.0)
    yield make_store("sql", url=url)


def one_operation_after_the_other(store: Store) -> None:
    assert_type(store.read("b"), Snapshot)
    claim = store.claim_probe("b", policy, token="me")
    assert_type(claim, Transition | None)
    if claim is not None:
        assert_type(claim.permit, Permit)
        assert_type(claim.previous_state, State)
        assert_type(store.renew_probe(claim.permit, policy), Transition | None)
        assert_type(store.release_probe(claim.permit), Transition | None)
    assert_type(store.record_failure("b", policy, failures=2), Transition | None)
    assert_type(store.record_success(store.read("b").permit), Transition | None)
    assert_type(store.force_open("b", 30.0), Transition)
    assert_type(store.reset("b"), Transition)


async def awaited_stores(client: redis.asyncio.Redis) -> None:
    async with AsyncSqlStore(url, namespace="shop") as store:
        assert_type(store, AsyncSqlStore)
        assert_type(await store.read("b"), Snapshot)
        assert_type(await store.claim_probe("b"), Transition | None)
        assert_type(await store.reset("b"), Transition)
    several: list[AsyncStore] = [
        AsyncSqlStore(create_async_engine(url)),
        AsyncRedisStore(client),
        AsyncInMemoryStore(),
    ]
    for one in several:
        await one.close()


def dictionaries(store: CircuitBreakerStore) -> None:
    store.set_state("b", DEFAULT_CIRCUIT_BREAKER_STATE)
    assert_type(store.get_state("b"), dict[str, Any])
    assert_type(store.increment_failure("b"), int)
    assert_type(store.cas_state("b", "closed", {"failure_count": 1}), bool)


dictionaries(SqlStore(url))
dictionaries(make_store("memory"))


# Language models.


async def language_models(error: Exception, ask: Callable[[], Awaitable[str]]) -> None:
    llm = LLMCircuitBreaker(
        LLMCircuitBreakerConfig(enabled=True, max_failures=3),
        backend_name="claude",
        metrics=CircuitBreakerMetrics(),
        store=SqlStore(url),
        listeners=[on_event],
    )
    assert_type(await llm.call_with_retry(ask, max_retries=2, agent_id="a"), str)
    assert_type(llm.state, State)
    assert_type(llm.state is CircuitState.OPEN, bool)
    assert_type(llm.failure_count, int)
    if not llm.should_block():
        assert_type(llm.permit, Permit | None)
        llm.record_failure("timeout", "too slow")
        llm.record_success(permit=llm.permit)
    llm.force_open("maintenance", 600.0)
    llm.reset()
    assert_type(classify_429(extract_retry_after(error), 120.0), RateLimitAction)
    assert_type(extract_status_code(error), int | None)


# Metrics, migrations, errors.


def metrics(store: SqlStore, registry: CollectorRegistry) -> None:
    registry.register(FleetCollector(store, max_breakers=100))
    for kept in (CircuitBreakerMetrics(registry), OpenTelemetryMetrics()):
        breaker.add_listener(kept.listener)
    assert_type(CircuitBreakerMetrics().get_registry(), CollectorRegistry | None)


def migrations(engine: sa.Engine) -> None:
    migrate(url)
    assert_type(prune(url, idle_for=86_400.0, dry_run=True), int)
    migrate(engine, schema="team", version_table="team_version")
    downgrade(url, "base")
    assert_type(migration_sql("postgresql"), str)
    assert_type(include_name("breakers", "table", {}), bool)
    assert_type(ignore_breakers(schema=None)("breakers", "table", {}), bool)


def rates() -> None:
    policy = BreakerPolicy(trip=FailureRate(normal=0.05, broken=0.5))
    assert_type(policy.trip, FailureRate | None)
    assert_type(SqlStore(url).history("mail"), tuple[HistoryEntry, ...])


def errors(error: CircuitBreakerError) -> str:
    match error:
        case (
            GuardInUseError() | InvalidArgumentError() | InvalidNameError() | InvalidPolicyError() | InvalidStateError()
        ):
            return str(ValueError(error))
        case MissingExtraError(extra=extra):
            assert_type(extra, str)
            return extra
        case ConfigurationError():
            return str(GuardInUseError(error))
        case StoreUnavailableError(applied=applied):
            assert_type(applied, bool | None)
            return "later"
        case (
            UnknownBreakerError()
            | UnstorableNameError()
            | BreakerNotStoredError()
            | SchemaError()
            | StoreConflictError()
            | TooManyBreakersError()
            | StoreError()
        ):
            return "store"
        case _:
            return "refused"
