"""Checked input: from what a caller says makes the command a store carries out.

Everything that can be wrong with a name, a time, a token or a permit is found here, before any store is asked.
Synchronous and asynchronous stores share these functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple

from cbstore_sql.core import rules
from cbstore_sql.core.model import Permit, Row, new_token
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.core.validation import (
    MAX_TOKEN_BYTES,
    check_count,
    check_factor,
    check_flag,
    check_name,
    check_seconds,
    check_state,
    check_time,
)
from cbstore_sql.errors import InvalidNameError, InvalidStateError
from cbstore_sql.runtime.rng import rng


class Command(NamedTuple):
    """One operation on one breaker, checked.

    Attributes:
        operation: A key of `rules.OPERATIONS`.
        name: The breaker's name.
        parameters: What the operation's rule is given, by name; ``now`` is ``None`` for the store's own clock.
    """

    operation: str
    name: str
    parameters: Mapping[str, Any]

    def clock(self, store_time: float) -> float:
        """Return the time this command is carried out at: its own, or the store's."""
        now: float | None = self.parameters["now"]
        return store_time if now is None else now

    def apply_to(self, row: Row, now: float) -> Row | None:
        """Run the operation's rule on numbers, for a store that holds the row in memory.

        Args:
            row: The breaker as it is; a missing one is ``Row()``.
            now: The store's clock, Unix seconds. A command with a time of its own ignores it.

        Returns:
            The breaker after the operation, or ``None`` if the rule's condition does not hold.
        """
        given = SimpleNamespace(**self.parameters)
        given.now = self.clock(now)
        change = rules.OPERATIONS[self.operation](row, given, _choose)
        return replace(row, **change.values) if change.where else None


def _choose(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b


def claim_probe(name: str, policy: BreakerPolicy, token: str | None, now: float | None) -> Command:
    """Make the command of `Store.claim_probe`."""
    return Command(
        "claim_probe",
        check_name("breaker name", name),
        {"now": check_time("now", now), "lease": policy.probe_lease, "token": _token(token)},
    )


def record_failure(
    target: str | Permit, policy: BreakerPolicy, failures: int, now: float | None, rand: float | None
) -> Command:
    """Make the command of `Store.record_failure`."""
    roll = rng.random() if rand is None else check_factor("rand", rand, 0.0, 1.0)
    name, generation, token = _fence(target)
    given = {
        "now": check_time("now", now),
        "generation": generation,
        "token": token,
        "failures": check_count("failures", failures, minimum=1),
        "failure_threshold": policy.failure_threshold,
        "recovery_timeout": policy.recovery_timeout,
        "backoff_multiplier": policy.backoff_multiplier,
        "recovery_timeout_cap": policy.recovery_timeout_cap,
        "stretch": 1.0 + policy.recovery_jitter * roll,
    }
    return Command("record_failure", name, given)


def record_success(
    target: str | Permit, policy: BreakerPolicy, expected_state: str | None, now: float | None
) -> Command:
    """Make the command of `Store.record_success`."""
    name, generation, token = _fence(target)
    given = {
        "now": check_time("now", now),
        "generation": generation,
        "token": token,
        "success_threshold": policy.success_threshold,
        "expected": _expected(expected_state),
    }
    return Command("record_success", name, given)


def release_probe(permit: Permit, now: float | None) -> Command:
    """Make the command of `Store.release_probe`."""
    name, generation, token = _owner(permit)
    return Command("release_probe", name, {"now": check_time("now", now), "generation": generation, "token": token})


def renew_probe(permit: Permit, policy: BreakerPolicy, now: float | None) -> Command:
    """Make the command of `Store.renew_probe`."""
    name, generation, token = _owner(permit)
    given = {"now": check_time("now", now), "lease": policy.probe_lease, "generation": generation, "token": token}
    return Command("renew_probe", name, given)


def force_open(name: str, seconds: float, now: float | None) -> Command:
    """Make the command of `Store.force_open`."""
    checked = {"now": check_time("now", now), "seconds": check_seconds("seconds", seconds)}
    return Command("force_open", check_name("breaker name", name), checked)


def reset(name: str, now: float | None) -> Command:
    """Make the command of `Store.reset`."""
    return Command("reset", check_name("breaker name", name), {"now": check_time("now", now)})


def increment_failure(name: str) -> Command:
    """Make the command that counts one failure and nothing more."""
    return Command("increment_failure", check_name("breaker name", name), {"now": None})


def replace_state(name: str, updates: Mapping[str, Any], lease: float, expected_state: str | None) -> Command:
    """Make the command that overwrites some of the five protocol fields.

    Args:
        name: The breaker's name.
        updates: Any of ``state``, ``failure_count``, ``last_failure_time``, ``open_until`` and
            ``half_open_probe_active``; what is missing is kept, other keys are ignored.
        lease: Seconds a probe written as active is held.
        expected_state: The state the breaker must be in, or ``None`` for any.
    """
    given = {
        "now": None,
        "lease": lease,
        "token": new_token(),
        "expected": _expected(expected_state),
        "state": check_state("state", updates["state"]) if "state" in updates else rules.ANY_STATE,
        "failure_count": _kept(updates, "failure_count", check_count),
        "last_failure_time": _kept(updates, "last_failure_time", check_time),
        "open_until": _kept(updates, "open_until", check_time),
        "probe": _kept(updates, "half_open_probe_active", check_flag),
    }
    return Command("replace_state", check_name("breaker name", name), given)


def _kept(updates: Mapping[str, Any], field: str, check: Callable[[str, Any], Any]) -> Any:
    if field not in updates:
        return rules.KEEP
    if updates[field] is None:
        raise InvalidStateError(f"{field} must not be None: leave it out to keep it")
    return check(field, updates[field])


def _fence(target: str | Permit) -> tuple[str, int, str]:
    """Return whose report it is: the breaker's name, the generation and the token it is fenced by."""
    if isinstance(target, Permit):
        generation = check_count("permit generation", target.generation)
        token = check_name("probe token", target.token, limit=MAX_TOKEN_BYTES)
        return check_name("breaker name", target.name), generation, token
    return check_name("breaker name", target), rules.UNFENCED, ""


def _owner(permit: Permit) -> tuple[str, int, str]:
    if not isinstance(permit, Permit) or not permit.is_probe:
        raise InvalidStateError("only the permit of a claimed probe can be released or renewed")
    return _fence(permit)


def _expected(state: str | None) -> str:
    return rules.ANY_STATE if state is None else check_state("expected_state", state)


def _token(token: str | None) -> str:
    if token == "":
        raise InvalidNameError("probe token must not be empty")
    return new_token() if token is None else check_name("probe token", token, limit=MAX_TOKEN_BYTES)
