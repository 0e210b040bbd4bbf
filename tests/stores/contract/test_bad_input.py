"""Bad input raises the same typed error in every store, and the store writes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from cbstore_sql import BreakerPolicy, InvalidNameError, InvalidPolicyError, InvalidStateError, Permit
from cbstore_sql.stores.dict_protocol import ProtocolStore

BAD_NAMES = ["x" * 513, "é" * 257, "a\x00b", "\ud800", b"bytes", None, 7]
OPERATIONS: list[Callable[[ProtocolStore, Any], Any]] = [
    lambda store, name: store.read(name),
    lambda store, name: store.claim_probe(name),
    lambda store, name: store.record_failure(name),
    lambda store, name: store.record_failure(Permit(name, 0)),
    lambda store, name: store.record_success(name),
    lambda store, name: store.release_probe(Permit(name, 0, "t")),
    lambda store, name: store.renew_probe(Permit(name, 0, "t")),
    lambda store, name: store.force_open(name, 1.0),
    lambda store, name: store.reset(name),
    lambda store, name: store.get_state(name),
    lambda store, name: store.set_state(name, {}),
    lambda store, name: store.cas_state(name, "closed", {}),
    lambda store, name: store.increment_failure(name),
    lambda store, name: store.atomic_record_failure(name, 5, 60.0),
    lambda store, name: store.atomic_record_success(name),
    lambda store, name: store.try_transition_and_claim_probe(name, 1.0, 60.0),
    lambda store, name: store.clear(name),
]
BAD_TIMES = [-1.0, math.nan, math.inf, -math.inf, 1e300, "1", True]
BAD_SECONDS = [*BAD_TIMES, None]


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: f"{name!r:.12}")
def test_an_invalid_name_is_refused_by_every_operation(store: ProtocolStore, name: Any) -> None:
    for operation in OPERATIONS:
        with pytest.raises(InvalidNameError):
            operation(store, name)


@pytest.mark.parametrize("seconds", BAD_SECONDS, ids=repr)
def test_an_invalid_number_of_seconds_is_refused(store: ProtocolStore, seconds: Any) -> None:
    with pytest.raises(InvalidPolicyError):
        store.force_open("b", seconds)
    with pytest.raises(InvalidPolicyError):
        store.atomic_record_failure("b", 5, seconds)
    assert store.read("b").generation == 0
    assert store.read("b").failure_count == 0


@pytest.mark.parametrize("now", BAD_TIMES, ids=repr)
def test_an_invalid_now_is_refused_by_every_operation(store: ProtocolStore, now: Any) -> None:
    policy = BreakerPolicy(failure_threshold=1)
    calls: list[Callable[[], Any]] = [
        lambda: store.read("b", now=now),
        lambda: store.claim_probe("b", policy, now=now),
        lambda: store.record_failure("b", policy, now=now),
        lambda: store.record_success("b", policy, now=now),
        lambda: store.release_probe(Permit("b", 0, "t"), now=now),
        lambda: store.renew_probe(Permit("b", 0, "t"), policy, now=now),
        lambda: store.force_open("b", 1.0, now=now),
        lambda: store.reset("b", now=now),
        lambda: store.try_transition_and_claim_probe("b", now, 60.0),
    ]
    for call in calls:
        with pytest.raises(InvalidStateError):
            call()
    assert store.read("b").generation == 0


@pytest.mark.parametrize("threshold", [0, -1, 2.5, math.nan, math.inf, True, "5", None, 10**10], ids=repr)
def test_an_invalid_threshold_is_refused(store: ProtocolStore, threshold: Any) -> None:
    with pytest.raises(InvalidPolicyError):
        store.atomic_record_failure("b", threshold, 60.0)
    assert store.read("b").failure_count == 0


@pytest.mark.parametrize(
    "field",
    [
        {"state": "broken"},
        {"state": None},
        {"failure_count": -1},
        {"failure_count": 1.5},
        {"failure_count": 2**60},
        {"last_failure_time": math.nan},
        {"open_until": math.inf},
        {"open_until": "soon"},
    ],
    ids=repr,
)
def test_an_invalid_state_is_refused(store: ProtocolStore, field: dict[str, Any]) -> None:
    store.record_failure("b", now=1.0)
    with pytest.raises(InvalidStateError):
        store.set_state("b", field)
    with pytest.raises(InvalidStateError):
        store.cas_state("b", "closed", field)
    assert store.read("b").failure_count == 1
    assert store.read("b").generation == 0


def test_release_and_renew_refuse_a_permit_without_a_probe_token(store: ProtocolStore) -> None:
    for permit in (store.read("b").permit, "b", None):
        with pytest.raises(InvalidStateError):
            store.release_probe(permit)  # type: ignore[arg-type] # the wrong type is the point
        with pytest.raises(InvalidStateError):
            store.renew_probe(permit)  # type: ignore[arg-type] # the wrong type is the point


@pytest.mark.parametrize("token", ["", "x" * 257, "\x00", "\udfff", 5], ids=lambda token: f"{token!r:.12}")
def test_an_invalid_probe_token_is_refused(store: ProtocolStore, token: Any) -> None:
    store.force_open("b", 0.0, now=1.0)
    with pytest.raises(InvalidNameError):
        store.claim_probe("b", token=token, now=2.0)
    assert store.read("b").state == "open"
