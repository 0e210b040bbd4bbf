"""Commands: the checked input of an operation.

Each function raises an error for an invalid name, time, token or permit before a store is called. Synchronous and
asynchronous stores share these functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

from cbstore_sql.core import rules
from cbstore_sql.core.history import append, entry_label
from cbstore_sql.core.model import Permit, Row, new_token
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.core.score import relief_of, trip_test, weights_of
from cbstore_sql.core.validation import (
    MAX_TOKEN_BYTES,
    check_count,
    check_factor,
    check_flag,
    check_name,
    check_note,
    check_override,
    check_seconds,
    check_state,
    check_time,
)
from cbstore_sql.errors import InvalidNameError, InvalidStateError
from cbstore_sql.runtime.rng import rng


class Command(NamedTuple):
    """One operation on one breaker with checked arguments, ready for any store to carry out.

    Attributes:
        operation: The name of the operation, a key of `rules.OPERATIONS`.
        name: The breaker's name.
        parameters: The arguments, by name, for the rule of the operation (the function in `core.rules` that computes
            the new row). ``now`` is in Unix seconds, or ``None`` if the store's clock gives the time.
        creates: Whether the store may add a row for a breaker that has no row yet. If ``False``, the operation does
            nothing to such a breaker.
    """

    operation: str
    name: str
    parameters: Mapping[str, Any]
    creates: bool = True

    def clock(self, store_time: float) -> float:
        """Return the moment at which this command acts: the caller's ``now``, or else the time of the store's clock.

        Args:
            store_time: The time by the store's clock, Unix seconds.

        Returns:
            ``now`` if the caller passed it, otherwise ``store_time``; Unix seconds.
        """
        now: float | None = self.parameters["now"]
        return store_time if now is None else now

    def apply_to(self, row: Row, now: float) -> Row | None:
        """Compute the breaker's new row in Python, for a store that does not compute it in a database.

        Args:
            row: The breaker before the operation. Pass ``Row()`` for a breaker that has no row.
            now: The time by the store's clock, Unix seconds. If the caller of the operation passed a time, that time
                counts instead.

        Returns:
            The breaker after the operation, or ``None`` if the operation has no effect on this row.
        """
        given = SimpleNamespace(**self.parameters)
        given.now = self.clock(now)
        change = rules.OPERATIONS[self.operation](row, given, _choose, append)
        return row._replace(**change.values) if change.where else None


NO_EXPIRY = 0.0
"""In `set_override`, the seconds of an override that lasts until `clear_override` removes the override."""


def _choose(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b


def claim_probe(name: str, policy: BreakerPolicy, token: str | None, now: float | None) -> Command:
    """Check the arguments for a claim of the probe (the one call that tests the dependency) and return the command.

    The arguments are those of `Store.claim_probe`, and so are the errors. ``token=None`` makes a new token.
    ``now=None`` means the store's clock.
    """
    given = {
        "now": check_time("now", now),
        "lease": policy.probe_lease,
        "token": _token(token),
        "label": entry_label(),
    }
    return Command("claim_probe", check_name("breaker name", name), given)


def record_failure(
    target: str | Permit,
    policy: BreakerPolicy,
    failures: int,
    now: float | None,
    rand: float | None,
    *,
    successes: int = 0,
    evidence: float | None = None,
) -> Command:
    """Check the arguments for a report of failed calls and return the command.

    The arguments are those of `Store.record_failure`, and so are the errors. ``now=None`` means the store's clock,
    ``rand=None`` draws a random number, and ``evidence=None`` computes the evidence from the policy.
    """
    roll = rng.random() if rand is None else check_factor("rand", rand, 0.0, 1.0)
    name, generation, token = _fence(target)
    given = {
        "now": check_time("now", now),
        "generation": generation,
        "token": token,
        "failures": check_count("failures", failures, minimum=1),
        "successes": check_count("successes", successes),
        "test": trip_test(policy),
        "failure_threshold": policy.failures_to_trip,
        **weights_of(policy, failures, successes, evidence),
        "recovery_timeout": policy.recovery_timeout,
        "backoff_multiplier": policy.backoff_multiplier,
        "recovery_timeout_cap": policy.recovery_timeout_cap,
        "stretch": 1.0 + policy.recovery_jitter * roll,
        "label": entry_label(),
    }
    return Command("record_failure", name, given)


def record_success(
    target: str | Permit, policy: BreakerPolicy, expected_state: str | None, now: float | None, *, successes: int = 1
) -> Command:
    """Check the arguments for a report of successful calls and return the command.

    The arguments are those of `Store.record_success`, and so are the errors. ``expected_state=None`` means any state.
    ``now=None`` means the store's clock.
    """
    name, generation, token = _fence(target)
    given = {
        "now": check_time("now", now),
        "generation": generation,
        "token": token,
        "success_threshold": policy.success_threshold,
        "expected": _expected(expected_state),
        "test": trip_test(policy),
        "relief": relief_of(policy, check_count("successes", successes, minimum=1)),
        "label": entry_label(),
    }
    return Command("record_success", name, given)


def release_probe(permit: Permit, now: float | None) -> Command:
    """Check the arguments for giving up a probe without a result, and return the command.

    The arguments are those of `Store.release_probe`, and so are the errors. ``now=None`` means the store's clock.
    """
    name, generation, token = _owner(permit)
    return Command("release_probe", name, {"now": check_time("now", now), "generation": generation, "token": token})


def renew_probe(permit: Permit, policy: BreakerPolicy, now: float | None) -> Command:
    """Check the arguments for a longer lease (the time for which a probe belongs to its owner); return the command.

    The arguments are those of `Store.renew_probe`, and so are the errors. ``now=None`` means the store's clock.
    """
    name, generation, token = _owner(permit)
    given = {"now": check_time("now", now), "lease": policy.probe_lease, "generation": generation, "token": token}
    return Command("renew_probe", name, given)


def force_open(name: str, seconds: float, now: float | None, by: str | None = None) -> Command:
    """Check the arguments for opening a circuit by hand and return the command.

    The arguments are those of `Store.force_open`, and so are the errors. ``now=None`` means the store's clock.
    ``by=None`` means that the history names this process as the author.
    """
    given = {"now": check_time("now", now), "seconds": check_seconds("seconds", seconds), "label": _label(by)}
    return Command("force_open", check_name("breaker name", name), given)


def reset(name: str, now: float | None, by: str | None = None) -> Command:
    """Check the arguments for closing a circuit and clearing its counts, and return the command.

    The arguments are those of `Store.reset`, and so are the errors. ``now=None`` means the store's clock. ``by=None``
    means that the history names this process as the author.
    """
    return Command("reset", check_name("breaker name", name), {"now": check_time("now", now), "label": _label(by)})


def hold(name: str, seconds: float, now: float | None) -> Command:
    """Check the arguments for a hold (every process refuses calls for some seconds) and return the command.

    The arguments are those of `Store.hold`, and so are the errors. ``now=None`` means the store's clock.
    """
    given = {"now": check_time("now", now), "seconds": check_seconds("seconds", seconds)}
    return Command("hold", check_name("breaker name", name), given)


def set_override(
    name: str, mode: str, by: str, reason: str, *, seconds: float | None, create: bool, now: float | None
) -> Command:
    """Check the arguments for an override (the setting by which an operator opens, closes or shadows a breaker).

    The function returns the command. The arguments are those of `Store.set_override`, and so are the errors.
    ``seconds=None`` means that the override does not expire. ``now=None`` means the store's clock.
    """
    given = {
        "now": check_time("now", now),
        "mode": check_override(mode),
        "seconds": NO_EXPIRY if seconds is None else check_seconds("seconds", seconds, minimum=0.001),
        "by": check_note("by", by),
        "reason": check_note("reason", reason),
        "label": entry_label(by),
    }
    return Command("set_override", check_name("breaker name", name), given, creates=create)


def clear_override(name: str, by: str, now: float | None) -> Command:
    """Check the arguments for the removal of an override (the setting of an operator) and return the command.

    The arguments are those of `Store.clear_override`, and so are the errors. ``now=None`` means the store's clock.
    """
    given = {"now": check_time("now", now), "label": entry_label(check_note("by", by))}
    return Command("clear_override", check_name("breaker name", name), given, creates=False)


def increment_failure(name: str) -> Command:
    """Return the command that adds 1 to a breaker's failure count and never opens the circuit.

    Args:
        name: The breaker's name.

    Raises:
        InvalidNameError: The name is not text, has characters that a store cannot keep, or is too long.
    """
    return Command("increment_failure", check_name("breaker name", name), {"now": None})


def replace_state(name: str, updates: Mapping[str, Any], lease: float, expected_state: str | None) -> Command:
    """Return the command that overwrites some of the five fields that MassGen's stores exchange as a dictionary.

    Args:
        name: The breaker's name.
        updates: The new values of any of ``state``, ``failure_count``, ``last_failure_time``, ``open_until`` and
            ``half_open_probe_active``. A field that is missing keeps its value. Other keys are ignored.
        lease: The seconds for which the probe is taken if ``updates`` sets ``half_open_probe_active`` to ``True``.
        expected_state: The state in which the breaker must be; in any other state, the command has no effect. ``None``
            means any state.

    Raises:
        InvalidNameError: The name is not text, has characters that a store cannot keep, or is too long.
        InvalidStateError: A field or ``expected_state`` has an invalid value.
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
        "label": entry_label(),
    }
    return Command("replace_state", check_name("breaker name", name), given)


def _kept(updates: Mapping[str, Any], field: str, check: Callable[[str, Any], Any]) -> Any:
    if field not in updates:
        return rules.KEEP
    if updates[field] is None:
        raise InvalidStateError(f"{field} must not be None: leave it out to keep it")
    return check(field, updates[field])


def _fence(target: str | Permit) -> tuple[str, int, str]:
    """Return the breaker's name, and the generation and the token that fence the report.

    Raises:
        InvalidNameError: The name or the token is not text that every store can keep.
        InvalidStateError: The generation of the permit is invalid.
    """
    if isinstance(target, Permit):
        generation = check_count("permit generation", target.generation)
        token = check_name("probe token", target.token, limit=MAX_TOKEN_BYTES)
        return check_name("breaker name", target.name), generation, token
    return check_name("breaker name", target), rules.UNFENCED, ""


def _owner(permit: Permit) -> tuple[str, int, str]:
    if not isinstance(permit, Permit) or not permit.is_probe:
        raise InvalidStateError("only the permit of a claimed probe can be released or renewed")
    return _fence(permit)


def _label(by: str | None) -> str:
    return entry_label() if by is None else entry_label(check_note("by", by))


def _expected(state: str | None) -> str:
    return rules.ANY_STATE if state is None else check_state("expected_state", state)


def _token(token: str | None) -> str:
    if token == "":
        raise InvalidNameError("probe token must not be empty")
    return new_token() if token is None else check_name("probe token", token, limit=MAX_TOKEN_BYTES)
