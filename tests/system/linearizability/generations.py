"""Checks the order that the generations of the answers give, without a search.

Every change of state, claim, settle and release of a probe gives the breaker its next generation. Of the answers that
must therefore stand in a row, each has to follow from what was seen in the generation before, none may contradict real
time, and within a generation the failures counted are those that were acknowledged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from cbstore_sql.core.model import Row, Snapshot, State
from tests.system.linearizability.history import Call, by_name, seen
from tests.system.linearizability.outcomes import after_answer


def check_order(calls: Iterable[Call]) -> list[str]:
    """Return the mistakes in the order, in words. An empty list means that the order is correct."""
    return [f"{name}: {wrong}" for name, history in by_name(calls).items() for wrong in _History(history).wrongs()]


def begins_generation(call: Call) -> bool:
    """Return whether an answered change gave the breaker its next generation."""
    effect = call.effect
    if effect is None:
        return False
    operation = call.command.operation
    if operation == "record_failure":
        return effect.changed
    if operation == "record_success":
        return effect.previous_state is State.HALF_OPEN
    return operation not in ("renew_probe", "hold")


class _History:
    """The answers of one breaker, by generation."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._answered = [call for call in calls if call.answered]
        self._silent = [twin for call in calls for twin in call.silent_twins]
        self._effects: dict[int, list[Call]] = defaultdict(list)
        self._rows: dict[int, set[Row]] = defaultdict(set, {0: {Row()}})
        for call in self._answered:
            snapshot = _shown(call)
            if snapshot is None:
                continue
            self._rows[snapshot.generation].add(seen(snapshot))
            if call.effect is not None:
                self._effects[snapshot.generation].append(call)

    def wrongs(self) -> Iterator[str]:
        yield from self._against_time()
        yield from self._beginnings()
        yield from self._replay()
        for generation in list(self._rows):
            yield from self._counts(generation)

    def _against_time(self) -> Iterator[str]:
        """Check that a call that began after a generation was seen does not have an earlier generation."""
        ends = sorted((call for call in self._answered if _shown(call)), key=lambda call: call.ended)
        latest, ended = 0, 0
        for call in sorted(ends, key=lambda call: call.began):
            while ends[ended].ended < call.began:
                latest, ended = max(latest, _generation(ends[ended])), ended + 1
            if _generation(call) < latest:
                yield f"generation {latest} had been seen before this call began: {call}"

    def _beginnings(self) -> Iterator[str]:
        """Check that each generation begins once. A beginning that no caller saw needs a call without an answer."""
        begun = Counter(_generation(step[0]) for step in self._steps() if begins_generation(step[0]))
        for generation, times in begun.items():
            if times > 1:
                yield f"generation {generation} was begun {times} times"
        unexplained = max(self._rows) - len(begun)
        if unexplained > len(self._silent):
            yield f"{unexplained} generations were begun by nobody, {len(self._silent)} calls have no answer"

    def _replay(self) -> Iterator[str]:
        """Check that each change follows from a row that was seen, or from a row after a call without an answer."""
        baseless = [step for step in self._steps() if not any(self._follows(call) for call in step)]
        if len(baseless) > len(self._silent):
            yield f"{len(baseless)} effects follow from no row that was seen, the first: {baseless[0][0]}"

    def _steps(self) -> Iterator[list[Call]]:
        """Return the changes. Repeated claims of one owner count as one change."""
        for calls in self._effects.values():
            claims: dict[str, list[Call]] = defaultdict(list)
            for call in calls:
                if call.command.operation == "claim_probe":
                    claims[call.command.parameters["token"]].append(call)
                else:
                    yield [call]
            yield from claims.values()

    def _follows(self, call: Call) -> bool:
        rows = self._rows.get(_generation(call) - begins_generation(call), ())
        return any(after_answer(row, call) is not None for row in rows)

    def _counts(self, generation: int) -> Iterator[str]:
        """Check that only a success lowers the count within a generation."""
        within = [call for call in self._effects[generation] if not begins_generation(call)]
        cleanings = len(_of("record_success", within) + _of("record_success", self._silent))
        cleanings += sum(
            call.command.parameters["successes"] > 0 for call in _of("record_failure", [*within, *self._silent])
        )
        counted = _of("record_failure", within)
        for count, times in Counter(_count(call) for call in counted).items():
            if times > 1 + cleanings:
                yield f"generation {generation}: {times} failures were each counted as number {count}"
        counts = [row.failure_count for row in self._rows[generation]]
        more = max(counts) - min(counts) - _failures(counted)
        if not cleanings and more > _failures(_of("record_failure", self._silent)):
            yield f"generation {generation}: {more} failures more were counted than acknowledged"


def _of(operation: str, calls: Iterable[Call]) -> list[Call]:
    return [call for call in calls if call.command.operation == operation]


def _failures(calls: Iterable[Call]) -> int:
    return sum(call.command.parameters["failures"] for call in calls)


def _shown(call: Call) -> Snapshot | None:
    return call.effect.snapshot if call.effect else call.answer if isinstance(call.answer, Snapshot) else None


def _generation(call: Call) -> int:
    snapshot = _shown(call)
    assert snapshot is not None
    return snapshot.generation


def _count(call: Call) -> int:
    assert call.effect is not None
    return call.effect.snapshot.failure_count
