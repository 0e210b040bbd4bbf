"""Checks the reports of the workers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from cbstore_sql.core.model import Permit
from cbstore_sql.stores.backend import NOBODYS_PROBE
from tests.system.linearizability.checker import TooManyOrdersError, check_one
from tests.system.linearizability.generations import check_order
from tests.system.linearizability.history import Call, by_name
from tests.system.soak.plan import Report
from tests.system.soak.usage import Usage, growth

MAX_SECONDS = 10.0
"""What a guarded call may take beyond its dependency: a busy machine needs some of it, what hangs takes more."""


LATE_ROUNDS = 20
"""For how long a breaker of an earlier round may be worked on: a store out of reach is told later what it missed."""


class Judge:
    """Receives reports, and checks each round after the work on its breakers has ended.

    Args:
        workers: The number of workers.
        ending: A function that reads the final state of the breakers, if the server answers: from names to calls.

    Attributes:
        wrongs: The violations, in words.
        calls: The numbers of checked operations, of those without an answer, and of those with failed statements.
        guarded: How guarded calls ended.
        undecided: The breakers whose history had too many possible orders for a search.
        slowest: The longest time of a guarded call without its dependency, in seconds.
        usage: The resources of each worker after each round.
    """

    def __init__(self, workers: int, ending: Callable[[Iterable[str]], list[Call]]) -> None:
        self.wrongs: list[str] = []
        self.calls: Counter[str] = Counter()
        self.guarded: Counter[str] = Counter()
        self.undecided = 0
        self.slowest = 0.0
        self.usage: dict[str, list[Usage]] = defaultdict(list)
        self._workers = workers
        self._ending = ending
        self._histories: dict[str, list[Call]] = defaultdict(list)
        self._probes: Counter[Permit] = Counter()
        self._handed_in: Counter[int] = Counter()

    def take(self, report: Report) -> None:
        """Receive one report."""
        self.wrongs += report.wrongs
        self.guarded += report.guarded
        self.slowest = max(self.slowest, report.slowest)
        self._probes.update(report.probes)
        if report.usage is not None:
            self.usage[report.worker].append(report.usage)
        for name, calls in by_name(report.calls).items():
            # A check whether the store accepts writes concerns no breaker.
            if name != NOBODYS_PROBE.name:
                self._histories[name] += calls
        self._handed_in[report.round] += 1
        if self._handed_in[report.round] == self._workers:
            self._judge(lambda round_: round_ < report.round - LATE_ROUNDS)

    def conclude(self) -> None:
        """Check the remaining rounds after the workers have ended."""
        self._judge(lambda round_: True)
        for worker, readings in self.usage.items():
            self.wrongs += [f"{worker}: {grown}" for grown in growth(readings)]
        if self.slowest > MAX_SECONDS:
            self.wrongs.append(f"a guarded call took {self.slowest:.1f} s beyond its dependency")

    def _judge(self, is_over: Callable[[int], bool]) -> None:
        names = [name for name in self._histories if is_over(int(name.partition("-")[0]))]
        for call in self._ending(names):
            self._histories[call.command.name].append(call)
        for name in names:
            self._judge_one(self._histories.pop(name))

    def _judge_one(self, history: list[Call]) -> None:
        self.calls["checked"] += len(history)
        self.calls["without an answer"] += sum(not call.answered for call in history)
        self.calls["repeated"] += sum(call.failures > 0 and call.answered for call in history)
        self.wrongs += check_order(history)
        try:
            violation = check_one(history)
        except TooManyOrdersError:
            self.undecided += 1
        else:
            self.wrongs += [str(violation)] if violation else []
        self._judge_probes(history)

    def _judge_probes(self, history: list[Call]) -> None:
        """Check that each call made as a probe belongs to one successful claim, and each claim to one call."""
        won = {call.effect.permit for call in history if call.effect and call.command.operation == "claim_probe"}
        name = history[0].command.name
        admitted = {permit: times for permit, times in self._probes.items() if permit.name == name}
        for permit, times in admitted.items():
            del self._probes[permit]
            if permit not in won:
                self.wrongs.append(f"a probe that no claim has won: {permit}")
            if times > 1:
                self.wrongs.append(f"{times} probes by one claim: {permit}")
