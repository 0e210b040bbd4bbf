"""Commands check their input before a store is called. Each kind of bad input has one error that names the value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from cbstore_sql import BreakerPolicy, InvalidNameError, InvalidPolicyError, InvalidStateError, Permit
from cbstore_sql.core import commands, validation
from cbstore_sql.core.commands import Command
from cbstore_sql.core.policy import DEFAULT_POLICY
from cbstore_sql.core.rules import KEEP, OPERATIONS, UNFENCED
from cbstore_sql.core.validation import MAX_COUNT, MAX_NAME_BYTES, MAX_SECONDS, MAX_TIME, MAX_TOKEN_BYTES

OWNER = Permit("b", 3, "token")

GOOD_NAMES = ["", " ", "claude", "後端 ☂", "\U0001f9ea", "a:b@c%d", "'; --", "\x01\n\t", "x" * 512, "é" * 256]
BAD_NAMES = ["x" * 513, "é" * 257, "a\x00b", "\ud800", "ok\udfff", b"claude", None, 7, ["b"]]
BAD_TIMES = [-1, -0.001, math.nan, math.inf, -math.inf, 10**400, 10**5000, MAX_TIME * 2, True, "1", b"1", [1.0]]
BAD_COUNTS = [-1, 0.0, 1.5, math.nan, math.inf, MAX_COUNT + 1, 10**400, 10**5000, True, "1"]

BY_NAME: dict[str, Callable[[Any], Command]] = {
    "claim_probe": lambda name: commands.claim_probe(name, DEFAULT_POLICY, None, None),
    "record_failure": lambda name: commands.record_failure(name, DEFAULT_POLICY, 1, None, None),
    "record_success": lambda name: commands.record_success(name, DEFAULT_POLICY, None, None),
    "force_open": lambda name: commands.force_open(name, 1.0, None),
    "reset": lambda name: commands.reset(name, None),
    "hold": lambda name: commands.hold(name, 1.0, None),
    "set_override": lambda name: commands.set_override(name, "open", "ann", "due", seconds=1, create=True, now=None),
    "clear_override": lambda name: commands.clear_override(name, "ann", None),
    "increment_failure": commands.increment_failure,
    "replace_state": lambda name: commands.replace_state(name, {}, 1.0, None),
}
BY_PERMIT: dict[str, Callable[[Any], Command]] = {
    "record_failure": lambda permit: commands.record_failure(permit, DEFAULT_POLICY, 1, None, None),
    "record_success": lambda permit: commands.record_success(permit, DEFAULT_POLICY, None, None),
    "release_probe": lambda permit: commands.release_probe(permit, None),
    "renew_probe": lambda permit: commands.renew_probe(permit, DEFAULT_POLICY, None),
}
AT: dict[str, Callable[[Any], Command]] = {
    "claim_probe": lambda now: commands.claim_probe("b", DEFAULT_POLICY, None, now),
    "record_failure": lambda now: commands.record_failure("b", DEFAULT_POLICY, 1, now, None),
    "record_success": lambda now: commands.record_success("b", DEFAULT_POLICY, None, now),
    "release_probe": lambda now: commands.release_probe(OWNER, now),
    "renew_probe": lambda now: commands.renew_probe(OWNER, DEFAULT_POLICY, now),
    "force_open": lambda now: commands.force_open("b", 1.0, now),
    "reset": lambda now: commands.reset("b", now),
    "hold": lambda now: commands.hold("b", 1.0, now),
    "set_override": lambda now: commands.set_override("b", "open", "ann", "deploy", seconds=None, create=True, now=now),
    "clear_override": lambda now: commands.clear_override("b", "ann", now),
}


def shown(value: object) -> str:
    return type(value).__name__ if isinstance(value, int) and abs(value) > 10**20 else ascii(value)[:20]


def replaced(field: str, value: Any) -> Command:
    return commands.replace_state("b", {field: value}, 1.0, None)


def test_these_tests_cover_the_command_of_every_operation() -> None:
    assert BY_NAME.keys() | BY_PERMIT.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("operation", BY_NAME)
def test_a_command_by_name_has_the_parameters_of_its_rule(operation: str) -> None:
    command = BY_NAME[operation]("b")
    assert (command.operation, command.name) == (operation, "b")
    assert tuple(command.parameters) == OPERATIONS[operation].parameters


@pytest.mark.parametrize("operation", BY_PERMIT)
def test_a_command_by_permit_has_the_parameters_of_its_rule(operation: str) -> None:
    command = BY_PERMIT[operation](OWNER)
    assert (command.operation, command.name) == (operation, "b")
    assert set(command.parameters) == set(OPERATIONS[operation].parameters)
    assert (command.parameters["generation"], command.parameters["token"]) == (3, "token")


@pytest.mark.parametrize("operation", BY_NAME)
@pytest.mark.parametrize("name", GOOD_NAMES, ids=shown)
def test_a_valid_name_is_not_changed(operation: str, name: str) -> None:
    assert BY_NAME[operation](name).name == name


@pytest.mark.parametrize("operation", BY_NAME)
@pytest.mark.parametrize("name", BAD_NAMES, ids=shown)
def test_an_invalid_name_is_refused(operation: str, name: Any) -> None:
    with pytest.raises(InvalidNameError, match="breaker name"):
        BY_NAME[operation](name)


@pytest.mark.parametrize("operation", BY_PERMIT)
@pytest.mark.parametrize("name", BAD_NAMES, ids=shown)
def test_an_invalid_name_in_a_permit_is_refused(operation: str, name: Any) -> None:
    with pytest.raises(InvalidNameError, match="breaker name"):
        BY_PERMIT[operation](Permit(name, 0, "token"))


def test_the_length_of_a_name_is_measured_in_bytes() -> None:
    assert len("é" * 256) * 2 == MAX_NAME_BYTES == 512
    with pytest.raises(InvalidNameError, match="at most 512 bytes of UTF-8, got 514"):
        validation.check_name("breaker name", "é" * 257)


@pytest.mark.parametrize("operation", AT)
@pytest.mark.parametrize("now", BAD_TIMES, ids=shown)
def test_an_invalid_now_is_refused(operation: str, now: Any) -> None:
    with pytest.raises(InvalidStateError, match="now"):
        AT[operation](now)


@pytest.mark.parametrize("operation", AT)
@pytest.mark.parametrize("now", [0, 0.0, 1, 1e9 + 0.5, MAX_TIME])
def test_a_given_time_is_converted_to_a_float(operation: str, now: float) -> None:
    given = AT[operation](now).parameters["now"]
    assert (type(given), given) == (float, now)


def test_a_command_uses_its_given_time_or_the_store_s_time() -> None:
    assert commands.reset("b", 5.0).clock(9.0) == 5.0
    assert commands.reset("b", 0.0).clock(9.0) == 0.0
    assert commands.reset("b", None).clock(9.0) == 9.0


@pytest.mark.parametrize("seconds", [*BAD_TIMES, None, MAX_SECONDS * 2], ids=shown)
def test_an_invalid_open_time_is_refused(seconds: Any) -> None:
    with pytest.raises(InvalidPolicyError, match="seconds"):
        commands.force_open("b", seconds, None)


def test_the_shortest_and_the_longest_open_time_are_accepted() -> None:
    assert commands.force_open("b", 0, None).parameters["seconds"] == 0.0
    assert commands.force_open("b", MAX_SECONDS, None).parameters["seconds"] == MAX_SECONDS


@pytest.mark.parametrize("failures", [*BAD_COUNTS, None, 0], ids=shown)
def test_an_invalid_number_of_failures_is_refused(failures: Any) -> None:
    with pytest.raises(InvalidStateError, match="failures"):
        commands.record_failure("b", DEFAULT_POLICY, failures, None, None)


@pytest.mark.parametrize("rand", [-0.1, 1.1, math.nan, math.inf, -math.inf, 10**400, True, "0.5", b""], ids=shown)
def test_a_random_number_outside_its_range_is_refused(rand: Any) -> None:
    with pytest.raises(InvalidPolicyError, match="rand"):
        commands.record_failure("b", DEFAULT_POLICY, 1, None, rand)


def test_the_random_number_selects_the_share_of_the_jitter() -> None:
    policy = BreakerPolicy(recovery_jitter=0.5)
    stretches = [commands.record_failure("b", policy, 1, None, rand).parameters["stretch"] for rand in (0, 0.5, 1.0)]
    assert stretches == [1.0, 1.25, 1.5]


def test_a_random_number_is_drawn_if_none_is_given() -> None:
    policy = BreakerPolicy(recovery_jitter=1.0)
    stretches = {commands.record_failure("b", policy, 1, None, None).parameters["stretch"] for _ in range(20)}
    assert len(stretches) > 1
    assert all(1.0 <= stretch <= 2.0 for stretch in stretches)


@pytest.mark.parametrize("token", ["", "x" * 257, "é" * 129, "\x00", "\udfff", b"token", 5], ids=shown)
def test_an_invalid_probe_token_is_refused(token: Any) -> None:
    with pytest.raises(InvalidNameError, match="probe token"):
        commands.claim_probe("b", DEFAULT_POLICY, token, None)


def test_a_claim_uses_the_given_token_or_makes_a_new_token() -> None:
    longest = "é" * (MAX_TOKEN_BYTES // 2)
    assert commands.claim_probe("b", DEFAULT_POLICY, longest, None).parameters["token"] == longest
    made = {commands.claim_probe("b", DEFAULT_POLICY, None, None).parameters["token"] for _ in range(100)}
    assert len(made) == 100
    assert all(commands.claim_probe("b", DEFAULT_POLICY, token, None).parameters["token"] == token for token in made)


@pytest.mark.parametrize("operation", BY_PERMIT)
@pytest.mark.parametrize("token", ["x" * 257, "\x00", "\ud800", b"token", None, 5], ids=shown)
def test_a_permit_with_an_invalid_token_is_refused(operation: str, token: Any) -> None:
    with pytest.raises(InvalidNameError, match="probe token"):
        BY_PERMIT[operation](Permit("b", 0, token))


@pytest.mark.parametrize("operation", BY_PERMIT)
@pytest.mark.parametrize("generation", [*BAD_COUNTS, None, UNFENCED], ids=shown)
def test_a_permit_with_an_invalid_generation_is_refused(operation: str, generation: Any) -> None:
    with pytest.raises(InvalidStateError, match="permit generation"):
        BY_PERMIT[operation](Permit("b", generation, "token"))


@pytest.mark.parametrize("permit", [Permit("b", 0), Permit("b", 0, ""), "b", None, 7], ids=repr)
def test_release_and_renew_refuse_a_permit_without_a_token(permit: Any) -> None:
    for operation in ("release_probe", "renew_probe"):
        with pytest.raises(InvalidStateError, match="permit of a claimed probe"):
            BY_PERMIT[operation](permit)


def test_a_report_by_name_has_no_fence() -> None:
    for operation in ("record_failure", "record_success"):
        given = BY_NAME[operation]("b").parameters
        assert (given["generation"], given["token"]) == (UNFENCED, "")


@pytest.mark.parametrize("state", ["", "CLOSED", "half-open", "ajar", b"open", 0, True, []], ids=shown)
def test_an_unknown_state_is_refused(state: Any) -> None:
    with pytest.raises(InvalidStateError, match="expected_state must be one of"):
        commands.record_success("b", DEFAULT_POLICY, state, None)
    with pytest.raises(InvalidStateError, match="expected_state must be one of"):
        commands.replace_state("b", {}, 1.0, state)
    with pytest.raises(InvalidStateError, match="state must be one of"):
        replaced("state", state)


@pytest.mark.parametrize("value", BAD_COUNTS, ids=shown)
def test_an_invalid_failure_count_is_refused(value: Any) -> None:
    with pytest.raises(InvalidStateError, match="failure_count"):
        replaced("failure_count", value)


@pytest.mark.parametrize("field", ["last_failure_time", "open_until"])
@pytest.mark.parametrize("value", BAD_TIMES, ids=shown)
def test_an_invalid_time_in_replace_state_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidStateError, match=field):
        replaced(field, value)


@pytest.mark.parametrize("value", ["True", "", 0, 1, 1.0, []], ids=repr)
def test_half_open_probe_active_must_be_a_boolean(value: Any) -> None:
    with pytest.raises(InvalidStateError, match="half_open_probe_active"):
        replaced("half_open_probe_active", value)
    assert [replaced("half_open_probe_active", active).parameters["probe"] for active in (False, True)] == [0, 1]


@pytest.mark.parametrize(
    "field", ["state", "failure_count", "last_failure_time", "open_until", "half_open_probe_active"]
)
def test_replace_state_refuses_none_as_the_value_of_a_field(field: str) -> None:
    with pytest.raises(InvalidStateError, match=field):
        replaced(field, None)


def test_replace_state_keeps_missing_fields_and_ignores_unknown_fields() -> None:
    given = commands.replace_state("b", {"note": "from another program"}, 1.0, None).parameters
    kept = ("failure_count", "last_failure_time", "open_until", "probe")
    assert [given[field] for field in kept] == [KEEP] * 4
    assert (given["state"], given["expected"]) == ("", "")
