"""The actions of the panel on a breaker: open, close, lock and unlock."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cbstore_sql.core.wording import duration, parse_duration, printable
from cbstore_sql.deadline import within
from cbstore_sql.errors import ConfigurationError, UnknownBreakerError
from cbstore_sql.panel.source import in_namespace

log = logging.getLogger("cbstore_sql.audit")

_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Action:
    """A kind of change that the panel can make to a breaker.

    Attributes:
        key: The action's name in forms and URLs.
        label: The text on the action's button.
        effect: What the action does, as the end of a sentence on the confirmation page.
        done: The sentence that the panel shows after the action.
        lasts: Whether the form needs a duration: ``"must"`` (required), ``"may"`` (optional) or ``""`` (the action has
            no duration).
    """

    key: str
    label: str
    effect: str
    done: str
    lasts: str = ""


_ALL = (
    Action(
        key="open",
        label="Open",
        effect="refuses calls for at least this long; then a probe decides",
        done="The circuit was opened.",
        lasts="must",
    ),
    Action(
        key="close",
        label="Close",
        effect="lets calls through again and forgets the failures",
        done="The circuit was closed.",
    ),
    Action(
        key="lock-open",
        label="Lock open",
        effect="refuses every call until the lock ends, whatever probes say",
        done="The breaker was locked open.",
        lasts="may",
    ),
    Action(
        key="lock-closed",
        label="Lock closed",
        effect="lets every call through until the lock ends, whatever fails",
        done="The breaker was locked closed.",
        lasts="may",
    ),
    Action(
        key="lock-shadow",
        label="Shadow",
        effect="lets every call through and only counts what it would have refused",
        done="The breaker is in shadow mode.",
        lasts="may",
    ),
    Action(
        key="unlock",
        label="Unlock",
        effect="ends the lock; the circuit's own state decides again",
        done="The lock was removed.",
    ),
)

ACTIONS = {action.key: action for action in _ALL}
"""Every action by its key, in the order of the buttons on the form."""


@dataclass(frozen=True, slots=True)
class Order:
    """One change of one breaker that a user requests in the panel.

    Attributes:
        namespace: The breaker's namespace.
        name: The breaker's name.
        action: The kind of change, a key of `ACTIONS`.
        reason: Why the user wants the change.
        seconds: How long the change lasts, in seconds. ``None`` means that a lock has no end, or that the action has no
            duration.
    """

    namespace: str
    name: str
    action: str
    reason: str
    seconds: float | None

    @classmethod
    def of(cls, form: Mapping[str, str]) -> Order:
        """Make an order from the fields of a form.

        Args:
            form: The fields ``namespace``, ``name``, ``action``, ``reason`` and ``for`` (a duration such as ``10m``).

        Raises:
            ConfigurationError: A field is missing or wrong. The message names the problem.
        """
        action = ACTIONS.get(form.get("action", ""))
        if action is None:
            raise ConfigurationError("choose what to do")
        reason = form.get("reason", "").strip()
        if not reason:
            raise ConfigurationError("give a reason, for the next person who looks")
        return cls(form.get("namespace", ""), form.get("name", ""), action.key, reason, _seconds(action, form))

    @property
    def time(self) -> str:
        """The duration in words, such as ``"for 10m"``, or ``""`` if the order has no duration."""
        return "" if self.seconds is None else f"for {duration(self.seconds)}"


def carry_out(store: Any, order: Order, *, by: str) -> None:
    """Make the requested change of a breaker, and log the change to the logger ``cbstore_sql.audit``.

    The change has a time limit of 5 seconds.

    Args:
        store: A synchronous store. The order's namespace may differ from the store's namespace.
        order: The change.
        by: The name of the person who makes the change, for the history and the log.

    Raises:
        StoreError: The store failed, or did not answer within the time limit.
        ConfigurationError: A name or the reason cannot be used, or the breaker does not exist.
    """
    target = in_namespace(store, order.namespace)
    with within(_TIMEOUT):
        _do(target, order, by)
    log.warning(
        "%s: breaker %s in namespace %s, by %s: %s",
        *(order.action, printable(order.name), printable(order.namespace), printable(by), printable(order.reason)),
    )


def _do(store: Any, order: Order, by: str) -> None:
    if order.action == "open":
        _require(store, order)
        store.force_open(order.name, order.seconds, by=by)
    elif order.action == "close":
        _require(store, order)
        store.reset(order.name, by=by)
    elif order.action == "unlock":
        store.clear_override(order.name, by=by)
    else:
        mode = order.action.removeprefix("lock-")
        store.set_override(order.name, mode, by=by, reason=order.reason, seconds=order.seconds)


def _require(store: Any, order: Order) -> None:
    """Check that the breaker of an order exists, because ``open`` and ``close`` must not create a breaker.

    Args:
        store: The store of the order's namespace.
        order: The order.

    Raises:
        UnknownBreakerError: The store has no such breaker.
    """
    snapshot = store.read(order.name)
    # A row exists once the breaker has failed, changed its state, or was locked.
    if not (snapshot.generation or snapshot.last_failure_time or snapshot.override):
        raise UnknownBreakerError(order.name)


def _seconds(action: Action, form: Mapping[str, str]) -> float | None:
    text = form.get("for", "").strip()
    if not action.lasts or not text:
        if action.lasts == "must":
            raise ConfigurationError("say for how long, such as 10m")
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ConfigurationError(f"for how long: {error}") from None
    if not seconds:
        raise ConfigurationError("for how long: more than 0")
    return seconds
