"""Simulates many processes in one: the real controllers and views over one store, with a simulated clock.

Everything a process decides is the library's own code. What is left out is time that passes inside a call or a
statement, and the threads and tasks around them.
"""

from __future__ import annotations

import heapq
import random
from typing import Any, TypeVar

from cbstore_sql import BreakerPolicy, CircuitBreakerOpenError, InMemoryStore, Permit, State
from cbstore_sql.breaker.controller import BreakerController
from cbstore_sql.breaker.notifier import Notifier
from cbstore_sql.breaker.view import View
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Snapshot, Transition, Verdict
from cbstore_sql.events import BreakerEvent, Opened
from cbstore_sql.runtime import sansio
from cbstore_sql.stores.call import StoreCall, StoreCalls
from tests.breaker.drivers import Clock
from tests.system.fleet.scenario import Member, Outcome, Scenario

T = TypeVar("T")

NAME = "dependency"


class CountingStore(InMemoryStore):
    """A store in memory in place of a shared store, which counts its statements."""

    reads_locally = False

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.writes = 0
        self.refreshes = 0

    def _apply(self, command: Command) -> Transition | None:
        transition = super()._apply(command)
        self.writes += transition is not None
        return transition

    def _read_many(self, names: list[str], now: float | None) -> dict[str, Snapshot]:
        self.refreshes += 1
        return super()._read_many(names, now)


class SimulatedProcess:
    """One process of the fleet.

    Args:
        store: The store that all processes share.
        policy: The policy of the breaker.
        clock: The clock of the whole simulation.
        max_staleness: See `CircuitBreaker`, seconds.
    """

    def __init__(
        self, store: InMemoryStore, policy: BreakerPolicy, clock: Clock, *, max_staleness: float = 0.25
    ) -> None:
        self.view = View(max_staleness, clock) if max_staleness else None
        self.opened: list[Opened] = []
        self.controller = BreakerController(policy, view=self.view, notifier=Notifier([self._hear]))
        self._store = store

    def admit(self) -> Permit:
        """Admit a call, or raise the refusal."""
        controller = self.controller
        return (
            controller.fresh_permit(NAME) or controller.admit_without_io(NAME) or self._run(controller.admission(NAME))
        )

    def settle(self, permit: Permit, verdict: Verdict) -> None:
        """Report a verdict as a breaker does."""
        controller = self.controller
        verdict = controller.slow_calls.judge(permit, verdict)
        if verdict is Verdict.SUCCESS and controller.takes_success(permit):
            return
        if not controller.settling.without_io(permit, verdict):
            self._run(controller.settling.by_store(permit, verdict))

    def succeed(self) -> None:
        """Make a successful call."""
        self.settle(self.admit(), Verdict.SUCCESS)

    def fail(self) -> None:
        """Make a call that fails."""
        self.settle(self.admit(), Verdict.FAILURE)

    def refresh(self) -> None:
        """Do the work that the background does once in each period."""
        self._run(self.controller.refresh.run())
        for permit in self.controller.successes.due():
            self._run(self.controller.successes.report(permit))

    @property
    def period(self) -> float:
        """Seconds between two refreshes; without a view there are none."""
        return float("inf") if self.view is None else self.view.period

    def _hear(self, event: BreakerEvent) -> None:
        if isinstance(event, Opened):
            self.opened.append(event)

    def _run(self, steps: StoreCalls[T]) -> T:
        return sansio.run(steps, self._ask)

    def _ask(self, call: StoreCall) -> Any:
        return getattr(self._store, call.operation)(*call.arguments, **call.keywords)


class _Fleet:
    """The processes and the events of one run."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.rng = random.Random(seed)
        self.clock = Clock()
        self.began = self.clock.now
        self.store = CountingStore(self.clock)
        self.members = list(scenario.members())
        self.processes = [
            SimulatedProcess(self.store, scenario.policy, self.clock, max_staleness=scenario.max_staleness)
            for _ in self.members
        ]
        self.outcome = Outcome()
        self.events: list[tuple[float, int, bool]] = []
        for index, member in enumerate(self.members):
            self._plan_call(index, member)
            self._plan(self.rng.random() * self.processes[index].period, index, refreshes=True)

    @property
    def after(self) -> float:
        return self.clock.now - self.began

    def step(self) -> bool:
        """Carry out the next event, and return whether the run continues."""
        moment, index, refreshes = heapq.heappop(self.events)
        self.clock.now = moment
        if self.after > self.scenario.seconds:
            return False
        process = self.processes[index]
        if refreshes:
            process.refresh()
            self._plan(process.period, index, refreshes=True)
            return True
        self._plan_call(index, self.members[index])
        return self._call(process, self.members[index])

    def _call(self, process: SimulatedProcess, member: Member) -> bool:
        try:
            permit = process.admit()
        except CircuitBreakerOpenError:
            self.outcome.refused += 1
            return True
        self.outcome.calls += 1
        broken = self.scenario.breaks_at is not None and self.after >= self.scenario.breaks_at
        if member.poisoned or self.scenario.fails(self.rng, self.after):
            self.outcome.failed_after_break += broken
            process.settle(permit, Verdict.FAILURE)
        else:
            process.settle(permit, Verdict.SUCCESS)
        return not self._tripped(process, broken)

    def _tripped(self, process: SimulatedProcess, broken: bool) -> bool:
        """Return whether a trip has ended the run."""
        trips = sum(event.previous_state is State.CLOSED for event in process.opened)
        process.opened.clear()
        self.outcome.trips += trips
        if trips and broken and self.scenario.breaks_at is not None:
            self.outcome.opened_after = self.after - self.scenario.breaks_at
            return True
        return False

    def _plan_call(self, index: int, member: Member) -> None:
        self._plan(self.rng.expovariate(member.rate), index, refreshes=False)

    def _plan(self, seconds: float, index: int, *, refreshes: bool) -> None:
        if seconds != float("inf"):
            heapq.heappush(self.events, (self.clock.now + seconds, index, refreshes))


def simulate(scenario: Scenario, seed: int) -> Outcome:
    """Run a scenario once.

    Args:
        scenario: What to run.
        seed: The seed of the random numbers. The same seed gives the same run.
    """
    fleet = _Fleet(scenario, seed)
    while fleet.step():
        pass
    fleet.outcome.writes, fleet.outcome.refreshes = fleet.store.writes, fleet.store.refreshes
    return fleet.outcome
