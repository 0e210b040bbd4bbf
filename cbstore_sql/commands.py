"""Checked input: from what a caller says makes the command a store carries out.

Everything that can be wrong with a name, a time, a token or a permit is found here, before any store is asked.
Synchronous and asynchronous stores share these functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cbstore_sql import rules
from cbstore_sql.chance import chance
from cbstore_sql.errors import InvalidNameError, InvalidStateError
from cbstore_sql.model import Permit, State, new_token
from cbstore_sql.policy import BreakerPolicy, check_factor, check_seconds, is_number, shown

MAX_NAME_BYTES = 512
"""The longest breaker name or namespace, in bytes of UTF-8."""

MAX_TOKEN_BYTES = 256
"""The longest probe token, in bytes of UTF-8."""

MAX_TIME = 1e11
"""The latest moment a store takes, Unix seconds (the year 5138)."""

MAX_COUNT = 10**15
"""The largest count a store takes: whole numbers up to here are exact in every backend."""


class Command(NamedTuple):
    """One operation on one breaker, checked.

    Attributes:
        operation: A key of `rules.OPERATIONS`.
        name: The breaker's name.
        given: What the operation's rule is given, by name; ``now`` is ``None`` for the store's own clock.
    """

    operation: str
    name: str
    given: Mapping[str, Any]

    def clock(self, store_time: float) -> float:
        """Return the time this command is carried out at: its own, or the store's."""
        now: float | None = self.given["now"]
        return store_time if now is None else now


def check_name(label: str, value: str, *, limit: int = MAX_NAME_BYTES) -> str:
    """Return a name that every store can keep, or say why it is none.

    Args:
        label: What the name is called in the message.
        value: The name; it may be empty and of any script.
        limit: The longest size, in bytes of UTF-8.

    Raises:
        InvalidNameError: It is no text, has a NUL or a lone surrogate, or is too long.
    """
    if not isinstance(value, str):
        raise InvalidNameError(f"{label} must be text, got {type(value).__name__}")
    if "\x00" in value:
        raise InvalidNameError(f"{label} must not contain NUL characters")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidNameError(f"{label} must not contain lone surrogates") from None
    if size > limit:
        raise InvalidNameError(f"{label} must be at most {limit} bytes of UTF-8, got {size}")
    return value


def check_time(label: str, value: float | None) -> float | None:
    """Return a moment as a float (``None`` stays ``None``: the store's clock), or say why it is none.

    Raises:
        InvalidStateError: It is no finite number between 0 and `MAX_TIME`.
    """
    if value is None:
        return None
    if not is_number(value, 0, MAX_TIME):
        raise InvalidStateError(f"{label} must be 0 to {MAX_TIME:g} Unix seconds, got {shown(value)}")
    return float(value)


def check_count(label: str, value: int, *, minimum: int = 0) -> int:
    """Return a whole number of events, or say why it is none.

    Raises:
        InvalidStateError: It is no whole number between ``minimum`` and `MAX_COUNT`.
    """
    if isinstance(value, float) or not is_number(value, minimum, MAX_COUNT):
        raise InvalidStateError(f"{label} must be a whole number from {minimum} to {MAX_COUNT}, got {shown(value)}")
    return value


def check_flag(label: str, value: bool) -> int:
    """Return 1 for ``True`` and 0 for ``False``, or say that it is neither.

    Raises:
        InvalidStateError: It is no bool.
    """
    if not isinstance(value, bool):
        raise InvalidStateError(f"{label} must be True or False, got {shown(value)}")
    return int(value)


def check_state(label: str, value: str) -> str:
    """Return the text of a state, or say that it is none.

    Raises:
        InvalidStateError: It is not ``"closed"``, ``"open"`` or ``"half_open"``.
    """
    try:
        return State(value).value
    except ValueError:
        raise InvalidStateError(f"{label} must be one of closed, open, half_open") from None


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
    roll = chance.random() if rand is None else check_factor("rand", rand, 0.0, 1.0)
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
