"""The data of a breaker: states, rows, and the answers of stores.

Rows and the answers of stores are named tuples because these are immutable and cost a fifth of what a frozen dataclass
costs to create.

All times are Unix seconds by the store's clock. All durations are seconds.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import Enum
from functools import cache
from typing import Any, Literal, NamedTuple


class State(str, Enum):
    """The state of a circuit: closed, open or half_open.

    ``CLOSED`` lets calls through. ``OPEN`` refuses calls. ``HALF_OPEN`` lets one call at a time test the dependency.
    """

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"

    def __str__(self) -> str:
        return self.value


class Verdict(Enum):
    """What the outcome of a call says about the dependency: success, failure, or nothing.

    ``SUCCESS`` counts as a success of the dependency, and ``FAILURE`` as a failure. ``NONE`` means that the outcome
    says nothing about the dependency, so the call does not count.
    """

    SUCCESS = "success"
    FAILURE = "failure"
    NONE = "none"


STATES = tuple(state.value for state in State)

OverrideMode = Literal["open", "closed", "shadow"]
"""The modes of an override; see `Store.set_override`."""

OVERRIDES: tuple[OverrideMode, ...] = ("open", "closed", "shadow")


class Row(NamedTuple):
    """What a store keeps of one breaker: the columns that the rules of the state machine read and write.

    The default values are those of a breaker that has no row in the store. `Snapshot` describes the columns.

    This class is the only place that lists the columns. The order of the fields is the order of the columns.
    `ANSWER_COLUMNS` names the columns that a store returns.
    """

    state: str = State.CLOSED.value
    previous_state: str = State.CLOSED.value
    generation: int = 0
    failure_count: int = 0
    success_count: int = 0
    last_failure_time: float = 0.0
    open_until: float = 0.0
    open_seconds: float = 0.0
    probe_token: str = ""
    probe_until: float = 0.0
    score: float = 0.0
    score_generation: int = 0
    closed_at: float = 0.0
    hold_until: float = 0.0
    override: str = ""
    override_until: float = 0.0
    override_by: str = ""
    override_reason: str = ""
    history: str = ""


COLUMNS = Row._fields
"""Every column, in order."""

ANSWER_COLUMNS = COLUMNS[:-1]
"""The columns of a store's answer: all but the history, which only `Store.history` reads."""


class Permit(NamedTuple):
    """The right to report the outcome of one call that a breaker let through.

    A report with a permit counts only while the breaker still has the generation of the permit. So a late report has no
    effect after the state has changed. While the breaker is half_open, only the owner of the probe holds such a permit.

    Attributes:
        name: The breaker's name.
        generation: The breaker's generation when it let the call through. This number grows with each change of state;
            the literature calls it a fencing token.
        token: The token of the probe, if the call is a probe (the one call that tests the dependency). ``""`` means
            that the call is not a probe.
    """

    name: str
    generation: int
    token: str = ""

    @property
    def is_probe(self) -> bool:
        """Whether the call is a probe, which tests the dependency. Another caller may own the probe by now."""
        return self.token != ""


class CleanPermit(Permit):
    """A permit of a call that was admitted because a read of the store showed a closed circuit and no failures."""

    __slots__ = ()


class TimedPermit(Permit):
    """A permit that remembers when its call began. Policies with ``slow_after`` use it to count slow calls as failures.

    Attributes:
        admitted_at: When the breaker let the call through, in seconds of a clock that never jumps. Only differences
            have a meaning.
        answered_at: When the first part of the answer arrived, by the same clock; ``None`` before that.
    """

    admitted_at = 0.0
    answered_at: float | None = None

    def __reduce__(self) -> tuple[type[Permit], tuple[str, int, str]]:
        # The process that loads the permit has another monotonic clock, so the times are left out.
        return Permit, (self.name, self.generation, self.token)


class LocalPermit(TimedPermit):
    """A permit that this process made alone, because the store did not answer."""


class UnreportedPermit(Permit):
    """A permit for a call whose outcome the breaker does not report to the store.

    An example is a call that only an operator's override lets through.
    """

    __slots__ = ()


PLAIN_PERMITS = (Permit, CleanPermit)
"""The classes of permits whose calls need nothing but a report of the outcome, unless the call is a probe."""


class Snapshot(NamedTuple):
    """One breaker as a store read it at one moment.

    Attributes:
        name: The breaker's name.
        state: Closed, open or half_open. An override or a hold does not change the state; `core.admission` combines all
            three.
        generation: A number that grows with every change of state, and whenever the probe gets or loses an owner.
        failure_count: The number of failures in a row while the circuit was closed. Every policy counts these failures,
            even a policy that opens the circuit by the score.
        success_count: The number of successful probes since the circuit became half_open.
        last_failure_time: The moment of the last failure or ``force_open``, Unix seconds; 0.0 means that there was
            none.
        open_until: The end of the open time, Unix seconds. From then on, a caller may claim the probe (the call that
            tests the dependency). 0.0 means that the circuit has not opened since the last reset.
        open_seconds: The length of the current or last open time in seconds, before jitter; 0.0 while the circuit is
            closed.
        probe_token: The token of the probe's owner; ``""`` means that the probe has no owner.
        probe_until: When the owner loses the probe unless it reports or renews, Unix seconds; 0.0 means that there is
            no probe.
        as_of: When the store read the row, Unix seconds by the store's clock.
        score: The evidence of a `FailureRate` policy that the dependency fails; at 1, the circuit opens.
        closed_at: When a probe closed the circuit, Unix seconds; 0.0 means that no probe has closed the circuit since
            the last reset.
        hold_until: The end of the hold, Unix seconds: the dependency asked that no one call before then. 0.0 means that
            there was no hold.
        override: The last setting of an operator, ``"open"``, ``"closed"`` or ``"shadow"``, even if it has expired; see
            `active_override`. ``""`` means that there is no override.
        override_until: When the override expires, Unix seconds; 0.0 means that the override does not expire.
        override_by: The person or program that set the override.
        override_reason: Why the override was set.
    """

    name: str
    state: State
    generation: int
    failure_count: int
    success_count: int
    last_failure_time: float
    open_until: float
    open_seconds: float
    probe_token: str
    probe_until: float
    as_of: float
    score: float = 0.0
    closed_at: float = 0.0
    hold_until: float = 0.0
    override: str = ""
    override_until: float = 0.0
    override_by: str = ""
    override_reason: str = ""

    @classmethod
    def of(cls, name: str, row: Sequence[Any], as_of: float) -> Snapshot:
        """Make a snapshot from a row that a store has read.

        Args:
            name: The breaker's name.
            row: The row of the breaker, or only the values of `ANSWER_COLUMNS`. Pass ``Row()`` for a breaker that has
                no row.
            as_of: When the store read the row, Unix seconds by the store's clock.
        """
        # A score of an earlier generation no longer counts.
        score = row[_SCORE] if row[_SCORE_GENERATION] == row[_GENERATION] else 0.0
        return cls._make((name, _STATES[row[_STATE]], *row[_BEFORE_AS_OF], as_of, score, *row[_AFTER_SCORE]))

    def _to_row(self) -> Row:
        """Return the row of this snapshot, without the history."""
        columns = {column: getattr(self, column) for column in SNAPSHOT_COLUMNS}
        return Row(
            **{**columns, "state": self.state.value, "previous_state": self.state.value},
            score_generation=self.generation,
        )

    @property
    def permit(self) -> Permit:
        """The permit for a call that is let through because of this snapshot. The call's report needs the permit."""
        return Permit(self.name, self.generation, self.probe_token)

    @property
    def active_override(self) -> str:
        """The operator's setting in force at ``as_of``: ``"open"``, ``"closed"`` or ``"shadow"``; ``""`` means none."""
        return self.override_at(self.as_of)

    def override_at(self, now: float) -> str:
        """Return the operator's setting in force at a moment: ``"open"``, ``"closed"``, ``"shadow"`` or ``""`` (none).

        Args:
            now: The moment, Unix seconds by the store's clock.
        """
        return self.override if self.override_until == 0.0 or self.override_until > now else ""

    @property
    def probe_active(self) -> bool:
        """Whether the probe (the call that tests the dependency) belongs to a caller at ``as_of``."""
        return self.probe_until > self.as_of

    @property
    def probe_claimable(self) -> bool:
        """Whether the state lets a caller claim the probe (the call that tests the dependency) at ``as_of``.

        The value considers the state only. A hold or an override may still forbid the claim.
        """
        if self.state is State.OPEN:
            return self.open_until <= self.as_of
        return self.state is State.HALF_OPEN and not self.probe_active

    @property
    def retry_after(self) -> float:
        """Seconds from ``as_of`` until the state lets a call through; 0.0 means at once.

        The value considers the state only. A hold or an override may still refuse the call.
        """
        if self.state is State.OPEN:
            return max(0.0, self.open_until - self.as_of)
        if self.state is State.HALF_OPEN:
            return max(0.0, self.probe_until - self.as_of)
        return 0.0


SNAPSHOT_COLUMNS = tuple(field for field in Snapshot._fields if field in COLUMNS)
"""The columns that a snapshot has, in the order of the snapshot's fields."""

_STATES = {state.value: state for state in State}
_STATE, _PREVIOUS_STATE, _GENERATION, _SCORE, _SCORE_GENERATION = (
    COLUMNS.index(column) for column in ("state", "previous_state", "generation", "score", "score_generation")
)
# The columns of a snapshot between its state and the clock, and those after its score.
_BEFORE_AS_OF = slice(_GENERATION, _SCORE)
_AFTER_SCORE = slice(_SCORE_GENERATION + 1, len(ANSWER_COLUMNS))


class Transition(NamedTuple):
    """What an operation changed: the state before the operation, and the breaker after the operation.

    A store returns ``None`` instead of a transition if the operation had no effect.

    Attributes:
        previous_state: The state that the operation found. No other operation came between.
        snapshot: The breaker after the operation.
    """

    previous_state: State
    snapshot: Snapshot

    @classmethod
    def of(cls, name: str, row: Sequence[Any], as_of: float) -> Transition:
        """Make a transition from a row that a store has just written.

        Args:
            name: The breaker's name.
            row: The row after the operation, or only the values of `ANSWER_COLUMNS`. ``previous_state`` is the state
                before the operation.
            as_of: The moment of the operation, Unix seconds by the store's clock.
        """
        return cls(_STATES[row[_PREVIOUS_STATE]], Snapshot.of(name, row, as_of))

    @property
    def changed(self) -> bool:
        """Whether the operation changed the state. If callers race, exactly one gets ``True`` for each change."""
        return self.previous_state is not self.snapshot.state

    @property
    def permit(self) -> Permit:
        """The permit for the breaker after the operation. After a claim, it is the permit of the probe's owner."""
        return self.snapshot.permit


@cache
def host_name() -> str:
    """Return this machine's name, at most 64 characters."""
    if hasattr(os, "uname"):
        return os.uname().nodename[:64]
    # Windows has no `os.uname`. At the top, this import would double the time that importing this library takes.
    import socket

    return socket.gethostname()[:64]


def new_token() -> str:
    """Make a new token, which identifies the owner of a probe: ``host/process id/64 random bits``.

    The readable part helps people who look at the table during an incident. The random part makes the token unique.
    """
    # `secrets` uses `os.urandom` too, but importing `secrets` is slow.
    return f"{host_name()}/{os.getpid()}/{os.urandom(8).hex()}"
