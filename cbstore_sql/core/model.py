"""The data of a breaker: its states, its row, and what stores return.

Stores return named tuples: they are immutable, and creating one costs a fifth of a frozen dataclass.

All times are Unix seconds by the store's clock, all durations are seconds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Literal, NamedTuple


class State(str, Enum):
    """The three states of a circuit."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"

    def __str__(self) -> str:
        return self.value


class Verdict(Enum):
    """What the outcome of a call says about the dependency."""

    SUCCESS = "success"
    FAILURE = "failure"
    NONE = "none"


STATES = tuple(state.value for state in State)

OverrideMode = Literal["open", "closed", "shadow"]
"""What an operator can lock a breaker to; see `Store.set_override`."""

OVERRIDES: tuple[OverrideMode, ...] = ("open", "closed", "shadow")


@dataclass(frozen=True, slots=True)
class Row:
    """The columns of one breaker that the rules read and write, with the values of a breaker that has no row.

    This is the only place that lists the columns. The order of the fields is the order of the columns.
    `ANSWER_COLUMNS` says which of them a store's answer has.
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


COLUMNS = tuple(field.name for field in fields(Row))
"""Every column, in order."""

ANSWER_COLUMNS = COLUMNS[:-1]
"""The columns that a store's answer has: all but the history, which only `Store.history` reads."""


class Permit(NamedTuple):
    """The right to report the outcome of one admitted call.

    A report through a permit counts only while the breaker is still in the generation the permit was given
    in. Of a half-open breaker only the owner of the probe holds such a permit.

    Attributes:
        name: The breaker's name.
        generation: The breaker's generation when the call was admitted.
        token: The probe token for the owner of a probe, ``""`` for a call through a closed circuit.
    """

    name: str
    generation: int
    token: str = ""

    @property
    def is_probe(self) -> bool:
        """Whether this permit owns (or once owned) the probe."""
        return self.token != ""


class TimedPermit(Permit):
    """A permit that knows when its call was admitted, for a policy with ``slow_after``.

    Attributes:
        admitted_at: The moment of admission, seconds by the steady clock.
        answered_at: When the first part of the answer came, by the same clock; ``None`` before.
    """

    admitted_at = 0.0
    answered_at: float | None = None

    def __reduce__(self) -> tuple[type[Permit], tuple[str, int, str]]:
        # Another machine has another steady clock.
        return Permit, (self.name, self.generation, self.token)


class LocalPermit(TimedPermit):
    """A permit that this process gave by itself while the store did not answer."""


class UnreportedPermit(Permit):
    """A permit of a call whose outcome is not reported."""

    __slots__ = ()


class Snapshot(NamedTuple):
    """One breaker at one moment.

    Attributes:
        name: The breaker's name.
        state: Closed, open or half_open. An override or a hold does not change it; `core.admission` decides what
            they mean for a call.
        generation: Grows with every state change and with every claim, settle and release of a probe.
        failure_count: Failures in a row through a closed circuit, under every policy.
        success_count: Successful probes since the circuit became half_open.
        last_failure_time: Unix seconds; 0.0 means never.
        open_until: Unix seconds from which a probe may be claimed; 0.0 means never opened.
        open_seconds: Seconds of the current or last open time, before jitter; 0.0 while the circuit is closed.
        probe_token: The token of the probe's owner; ``""`` means that the probe is free.
        probe_until: Unix seconds at which the probe's lease ends; 0.0 means no probe.
        as_of: The store's clock when this was read, Unix seconds.
        score: The evidence of a `FailureRate` policy as a share of its limit; the circuit trips at 1.
        closed_at: Unix seconds at which a probe closed the circuit; 0.0 means never, or a reset since.
        hold_until: Unix seconds before which no call is admitted; 0.0 means never held.
        override: The last override that was set, ``""``, ``"open"``, ``"closed"`` or ``"shadow"``, even if it has
            expired; see `active_override`.
        override_until: Unix seconds at which the override expires; 0.0 means that it does not.
        override_by: Who set the override.
        override_reason: Why.
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
    def of(cls, name: str, row: Row, as_of: float) -> Snapshot:
        """Make the snapshot of a row.

        Args:
            name: The breaker's name.
            row: The row.
            as_of: The store's clock when the row was read, Unix seconds.
        """
        values = [name, *_before_as_of(row), as_of, *_after_as_of(row)]
        values[_STATE] = State(row.state)
        if row.score_generation != row.generation:
            values[_SCORE] = 0.0
        return cls._make(values)

    def _to_row(self) -> Row:
        """Return the row that this shows, without its history."""
        columns = {column: getattr(self, column) for column in SNAPSHOT_COLUMNS}
        return Row(
            **{**columns, "state": self.state.value, "previous_state": self.state.value},
            score_generation=self.generation,
        )

    @property
    def permit(self) -> Permit:
        """The permit of a call admitted on this snapshot."""
        return Permit(self.name, self.generation, self.probe_token)

    @property
    def active_override(self) -> str:
        """The override in force at ``as_of``: ``"open"``, ``"closed"``, ``"shadow"``, or ``""`` for none."""
        return self.override_at(self.as_of)

    def override_at(self, now: float) -> str:
        """Return the override in force at a moment, Unix seconds by the store's clock; ``""`` means none."""
        return self.override if self.override_until == 0.0 or self.override_until > now else ""

    @property
    def probe_active(self) -> bool:
        """Whether a caller holds the probe and its lease has not ended."""
        return self.probe_until > self.as_of

    @property
    def probe_claimable(self) -> bool:
        """Whether the state lets a caller claim the probe at ``as_of``; a hold or an override can still forbid it."""
        if self.state is State.OPEN:
            return self.open_until <= self.as_of
        return self.state is State.HALF_OPEN and not self.probe_active

    @property
    def retry_after(self) -> float:
        """Seconds until the state lets a call through, 0.0 for now; `core.admission` adds holds and overrides."""
        if self.state is State.OPEN:
            return max(0.0, self.open_until - self.as_of)
        if self.state is State.HALF_OPEN:
            return max(0.0, self.probe_until - self.as_of)
        return 0.0


SNAPSHOT_COLUMNS = tuple(field for field in Snapshot._fields if field in COLUMNS)
"""The columns that a snapshot shows, in its order."""

_STATE, _SCORE, _AS_OF = (Snapshot._fields.index(field) for field in ("state", "score", "as_of"))
_before_as_of = attrgetter(*Snapshot._fields[1:_AS_OF])
_after_as_of = attrgetter(*Snapshot._fields[_AS_OF + 1 :])


class Transition(NamedTuple):
    """An operation that had an effect.

    Attributes:
        previous_state: The state the same atomic step found.
        snapshot: The breaker after it.
    """

    previous_state: State
    snapshot: Snapshot

    @classmethod
    def of(cls, name: str, row: Row, as_of: float) -> Transition:
        """Make the transition of a row that was just written; see `Snapshot.of`. The row has the state from before."""
        return cls(State(row.previous_state), Snapshot.of(name, row, as_of))

    @property
    def changed(self) -> bool:
        """Whether the state changed. Of racing callers exactly one sees each change."""
        return self.previous_state is not self.snapshot.state

    @property
    def permit(self) -> Permit:
        """The permit for the breaker as this step left it. After a claim: the owner's permit."""
        return self.snapshot.permit


@cache
def host_name() -> str:
    """Return this machine's name, at most 64 characters."""
    if hasattr(os, "uname"):
        return os.uname().nodename[:64]
    # Windows. Half of what importing this library costs would go into this import.
    import socket

    return socket.gethostname()[:64]


def new_token() -> str:
    """Make a unique probe token: ``host/process id/64 random bits``.

    The readable part helps whoever looks at the table during an incident; the random part makes it unique.
    """
    # The same source as that of `secrets`, whose import would cost half of what importing this library costs.
    return f"{host_name()}/{os.getpid()}/{os.urandom(8).hex()}"
