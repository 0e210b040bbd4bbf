"""Any value of a setting works, or is refused with an error of the library."""

from __future__ import annotations

import math
import os
from dataclasses import fields
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cbstore_sql import (
    BreakerPolicy,
    CircuitBreaker,
    InMemoryStore,
    InvalidNameError,
    LLMCircuitBreakerConfig,
    make_store,
)
from cbstore_sql.cli.grants import Roles, grants_sql
from cbstore_sql.migration.runner import Target
from examples.load_config import load_policies
from tests.system.fuzz.hostile import anything, mess, parse

POLICY = [field.name for field in fields(BreakerPolicy)]
LLM = [field.name for field in fields(LLMCircuitBreakerConfig)]
NUMBERS = (
    st.sampled_from([0, 1, -1, 0.5, 10**400, 10**5000, 1e308, math.nan, math.inf, -math.inf, True, "5", None])
    | anything
)


@given(st.dictionaries(st.sampled_from(POLICY), NUMBERS, max_size=4))
@example({"failure_threshold": 1})
def test_a_policy_works_if_it_is_not_refused(settings: dict[str, Any]) -> None:
    policy = parse(lambda: BreakerPolicy(**settings))
    if policy is not None:
        store = InMemoryStore(clock=lambda: 1000.0)
        for _ in range(2):
            store.record_failure("b", policy)
        store.force_open("b", 0.0)
        claim = store.claim_probe("b", policy, now=1e10)
        assert claim
        assert math.isfinite(claim.snapshot.probe_until)
        failed = store.record_failure(claim.permit, policy)
        assert failed
        assert math.isfinite(failed.snapshot.open_until)


@given(st.dictionaries(st.sampled_from(LLM[1:]), NUMBERS, max_size=4))
@example({"backoff_multiplier": 10**400})
def test_an_llm_configuration_has_a_valid_policy_if_it_is_not_refused(settings: dict[str, Any]) -> None:
    if "retryable_status_codes" in settings:
        settings["retryable_status_codes"] = (500,)
    config = parse(lambda: LLMCircuitBreakerConfig(**settings))
    if config is not None:
        assert isinstance(config.policy, BreakerPolicy)
        assert math.isfinite(config.open_seconds(1e300))


@given(
    st.sampled_from(["store_timeout", "on_store_outage", "max_staleness", "flush_interval"]),
    NUMBERS | st.sampled_from(["local", "allow"]),
)
def test_a_breaker_with_any_argument_works_or_is_refused(name: str, value: Any) -> None:
    breaker = parse(lambda: CircuitBreaker(InMemoryStore(), **{name: value}))
    if breaker is not None:
        assert breaker.call("b", lambda: 42) == 42
        breaker.close()


@given(st.sampled_from(["namespace", "max_breakers", "protocol_probe_lease"]), NUMBERS | mess)
def test_a_store_with_any_argument_works_or_is_refused(name: str, value: Any) -> None:
    store = parse(lambda: make_store("memory", **{name: value}))
    if store is not None:
        assert store.increment_failure("b") == 1


@given(mess | st.text())
def test_any_breaker_name_is_stored_or_refused(name: str) -> None:
    store = InMemoryStore()
    try:
        store.increment_failure(name)
    except InvalidNameError:
        assert "\0" in name or "\ud800" in name or len(name.encode(errors="replace")) > 512
    else:
        assert store.read(name).failure_count == 1


@given(st.sampled_from(["CBSTORE_SCHEMA", "CBSTORE_VERSION_TABLE"]), mess.filter(lambda text: "\0" not in text))
def test_any_name_in_the_environment_is_valid_or_refused(variable: str, value: str) -> None:
    with patch.dict(os.environ):
        os.environ[variable] = value.encode(errors="replace").decode()
        target = parse(lambda: Target.from_environment("postgresql"))
    for name in (target.schema, target.version_table) if target else ():
        assert name.isascii()
        assert name.replace("_", "a").isalnum()


@given(mess, mess)
def test_any_role_names_are_quoted_or_refused(migrator: str, runtime: str) -> None:
    roles = parse(lambda: Roles(migrator, runtime))
    if roles is not None:
        script = grants_sql(roles)
        for name in (migrator, runtime):
            quoted = '"' + name.replace('"', '""') + '"'
            assert f"CREATE ROLE {quoted} LOGIN" in script


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configuration") / "config.yaml"


YAML = [
    "breakers",
    "defaults",
    "names",
    "failure_threshold",
    "recovery_timeout",
    ": ",
    "\n  ",
    "\n    ",
    "- ",
    "{",
    "}",
]


@given(
    st.lists(st.sampled_from([*YAML, "[", "]", "&a", "*a", "!!python/object:os.system", "1", ".nan", "x", "'"])).map(
        "".join
    )
)
@example("breakers: {names: {x: {failure_threshold: 2001-99-99}}}")
@example("[" * 2000)
@example("breakers: {defaults: {failure_threshold: 0x" + "f" * 5000 + "}}")
def test_any_file_of_policies_is_loaded_or_refused(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    policies = parse(lambda: load_policies(file))
    assert policies is None or isinstance(policies.default, BreakerPolicy)
