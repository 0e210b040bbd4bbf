"""Mutants that are not tried, each with the reason why no test can detect it."""

from __future__ import annotations

_NONE_BELOW = "no permit is of a generation below that of a report without one"
_SAVES = "it only saves the work of making what is there already"
_TOLD_NOBODY = "where nobody listens, nobody is told"
_NO_NAMES = "without a view there are no names either"
_NOTHING_OWED = "where the store was not out, nothing is owed"
_NOTHING_SEEN = "while the store is out nothing new is seen"
_NO_ARGUMENTS = "an exception without positional arguments keeps none"
_NO_EFFECT = "what makes no breaker has no effect on one never written; the rules' tables hold it to that"
_SAME_LIFE = "to set the life a key has is to leave it"
_DECIDED = "equal ones were decided before"
_EITHER = "the smaller or the larger of two equal numbers is either"

EQUIVALENT: dict[str, str] = {
    "core/rules.py _next_open_seconds: longer < given.recovery_timeout_cap compared otherwise": _EITHER,
    "core/rules.py _larger: a > b compared otherwise": _EITHER,
    "core/rules.py record_failure: given.generation == UNFENCED or newer": _NONE_BELOW,
    "core/rules.py record_success: given.generation == UNFENCED or newer": _NONE_BELOW,
    "deadline.py within.__enter__: own < outer compared otherwise": _EITHER,
    "breaker/seen.py Seen.supersedes: snapshot.generation > other.generation compared otherwise": _DECIDED,
    "breaker/refresh.py ViewRefresh.run: "
    "view is None or not names or self._outage.is_out without view is None": _NO_NAMES,
    "breaker/refresh.py ViewRefresh._record_all: "
    "self._notifier.listeners and ages without self._notifier.listeners": _TOLD_NOBODY,
    "breaker/outage/calls.py OutageCalls.begin: view is not None and (not self.detector.is_out)"
    " without not self.detector.is_out": _NOTHING_SEEN,
    "stores/sql/retry.py LateError.__init__: super().__init__() left out": _NO_ARGUMENTS,
    "stores/sql/operations.py SqlOperations.apply: "
    "not rows and command.creates and (upsert is not None) and (command.apply_to(Row(), 0.0) is not None)"
    " without upsert is not None": _NO_EFFECT,
    "_hash.lua elseif left ~= ENDLESS and left < seconds * 1000 then: < becomes <=": _SAME_LIFE,
}
