"""The data of a breaker: states, rows, and the answers of stores.

Stores return named tuples because these are immutable and cost a fifth of what a frozen dataclass costs to create.

All times are Unix seconds by the store's clock. All durations are seconds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Literal, NamedTuple


class State(str, Enum):
    """A state of a circuit: closed, open or half_open."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"

    def __str__(self) -> str:
        return self.value


class Verdict(Enum):
    """A verdict on the outcome of a call: success, failure, or none.

    ``SUCCESS`` means that the call counts as a success of the dependency. ``FAILURE`` means that the call counts as a
    failure of the dependency. ``NONE`` means that the outcome says nothing about the dependency, so the call does not
    count.
    """

    SUCCESS = "success"
    FAILURE = "failure"
    NONE = "none"


STATES = tuple(state.value for state in State)

OverrideMode = Literal["open", "closed", "shadow"]
"""The modes of an override; see `Store.set_override`."""

OVERRIDES: tuple[OverrideMode, ...] = ("open", "closed", "shadow")


@dataclass(frozen=True, slots=True)
class Row:
    """The columns of one breaker that the rules read and write.

    The default values are those of a breaker that has no row in the store.

    This class is the only place that lists the columns. The order of the fields is the order of the columns.
    `ANSWER_COLUMNS` has the columns that a store returns.
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
"""The columns of a store's answer: all but the history, which only `Store.history` reads."""


class Permit(NamedTuple):
    """The right to report the outcome of one admitted call.

    A report through a permit counts only while the breaker's generation is the generation of the permit. While the
    breaker is half_open, only the owner of the probe holds such a permit.

    Attributes:
        name: The breaker's name.
        generation: The breaker's generation when the breaker admitted the call (a fencing token).
        token: The probe token, if the call is a probe. ``""`` means a call through a closed circuit.
    """

    name: str
    generation: int
    token: str = ""

    @property
    def is_probe(self) -> bool:
        """Whether the breaker admitted the call as a probe. The permit may have lost the probe since."""
        return self.token != ""


class TimedPermit(Permit):
    """A permit that knows when the breaker admitted the call, for a policy with ``slow_after``.

    Attributes:
        admitted_at: The moment of admission, in seconds by the steady clock.
        answered_at: When the first part of the answer arrived, in seconds by the steady clock; ``None`` before that.
    """

    admitted_at = 0.0
    answered_at: float | None = None

    def __reduce__(self) -> tuple[type[Permit], tuple[str, int, str]]:
        # The process that loads the permit may have another steady clock, so the times are left out.
        return Permit, (self.name, self.generation, self.token)


class LocalPermit(TimedPermit):
    """A permit that this process made without the store, because the store did not answer."""


class UnreportedPermit(Permit):
    """A permit of a call whose outcome the breaker does not report to the store."""

    __slots__ = ()


class Snapshot(NamedTuple):
    """The columns of one breaker at one moment.

    Attributes:
        name: The breaker's name.
        state: Closed, open or half_open. An override or a hold does not change the state; `core.admission` combines all
            three.
        generation: A number that grows with every state change and with every claim, settlement and release of a probe.
        failure_count: The number of failures in a row while the circuit was closed. The breaker counts these failures
            under every policy, even if the policy trips by score.
        success_count: Successful probes since the circuit became half_open.
        last_failure_time: The moment of the last failure or ``force_open``, Unix seconds; 0.0 means that there was
            none.
        open_until: Unix seconds from which a caller may claim the probe; 0.0 means that the circuit has not opened
            since the last reset.
        open_seconds: Seconds of the current or last open time, before jitter; 0.0 while the circuit is closed.
        probe_token: The token of the probe's owner; ``""`` means that the probe is free.
        probe_until: Unix seconds at which the probe's lease ends; 0.0 means that there is no probe.
        as_of: The store's clock when the store read the row, Unix seconds.
        score: The evidence of a `FailureRate` policy as a share of the limit; the circuit trips at 1.
        closed_at: Unix seconds at which a probe closed the circuit; 0.0 means that no probe has closed the circuit
            since the last reset.
        hold_until: Unix seconds before which the breaker admits no call; 0.0 means that there was no hold.
        override: The last override that was set, ``"open"``, ``"closed"`` or ``"shadow"``, even if the override has
            expired; see `active_override`. ``""`` means that there is no override.
        override_until: Unix seconds at which the override expires; 0.0 means that the override does not expire.
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
        """Return the row of this snapshot, without the history."""
        columns = {column: getattr(self, column) for column in SNAPSHOT_COLUMNS}
        return Row(
            **{**columns, "state": self.state.value, "previous_state": self.state.value},
            score_generation=self.generation,
        )

    @property
    def permit(self) -> Permit:
        """The permit of a call that the breaker admits on this snapshot."""
        return Permit(self.name, self.generation, self.probe_token)

    @property
    def active_override(self) -> str:
        """The override in force at ``as_of``: ``"open"``, ``"closed"`` or ``"shadow"``; ``""`` means no override."""
        return self.override_at(self.as_of)

    def override_at(self, now: float) -> str:
        """Return the override in force at a moment: ``"open"``, ``"closed"``, ``"shadow"``, or ``""`` for no override.

        Args:
            now: The moment, Unix seconds by the store's clock.
        """
        return self.override if self.override_until == 0.0 or self.override_until > now else ""

    @property
    def probe_active(self) -> bool:
        """Whether a caller holds the probe and the lease of the probe has not ended at ``as_of``."""
        return self.probe_until > self.as_of

    @property
    def probe_claimable(self) -> bool:
        """Whether the state allows a claim of the probe at ``as_of``. This value ignores holds and overrides."""
        if self.state is State.OPEN:
            return self.open_until <= self.as_of
        return self.state is State.HALF_OPEN and not self.probe_active

    @property
    def retry_after(self) -> float:
        """Seconds until the state allows a call; 0.0 means now. This value ignores holds and overrides."""
        if self.state is State.OPEN:
            return max(0.0, self.open_until - self.as_of)
        if self.state is State.HALF_OPEN:
            return max(0.0, self.probe_until - self.as_of)
        return 0.0


SNAPSHOT_COLUMNS = tuple(field for field in Snapshot._fields if field in COLUMNS)
"""The columns that a snapshot has, in the order of the snapshot's fields."""

_STATE, _SCORE, _AS_OF = (Snapshot._fields.index(field) for field in ("state", "score", "as_of"))
_before_as_of = attrgetter(*Snapshot._fields[1:_AS_OF])
_after_as_of = attrgetter(*Snapshot._fields[_AS_OF + 1 :])


class Transition(NamedTuple):
    """The result of an operation that had an effect.

    Attributes:
        previous_state: The state before the operation, as the same atomic step found it.
        snapshot: The breaker after the operation.
    """

    previous_state: State
    snapshot: Snapshot

    @classmethod
    def of(cls, name: str, row: Row, as_of: float) -> Transition:
        """Make the transition of a row that a store just wrote.

        Args:
            name: The breaker's name.
            row: The row after the operation. ``row.previous_state`` is the state before the operation.
            as_of: The store's clock at the operation, Unix seconds.
        """
        return cls(State(row.previous_state), Snapshot.of(name, row, as_of))

    @property
    def changed(self) -> bool:
        """Whether the state changed. If callers race, exactly one caller gets ``True`` for each change."""
        return self.previous_state is not self.snapshot.state

    @property
    def permit(self) -> Permit:
        """The permit for the breaker after the operation. After a claim, this is the permit of the probe's owner."""
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
    """Make a unique probe token: ``host/process id/64 random bits``.

    The readable part helps people who look at the table during an incident. The random part makes the token unique.
    """
    # `secrets` uses `os.urandom` too, but importing `secrets` is slow.
    return f"{host_name()}/{os.getpid()}/{os.urandom(8).hex()}"
