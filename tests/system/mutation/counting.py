"""Mutants of the counting: carried successes, the order of counting, and the limit for one process."""

from __future__ import annotations

from tests.system.mutation.selections import TABLES
from tests.system.mutation.text import Broken, Text

_VIEW = "breaker/view.py"
_RULES = "core/rules.py"
_CARRIED = ("tests/breaker/test_carried_successes.py",)
_PENDING = ("tests/breaker/test_unreported.py", "-k", "take_empties")
_CLIPPED = ("tests/breaker/test_own_score.py",)
_REPORTERS = ("tests/breaker/test_min_reporters.py",)
_SLOW = ("tests/breaker/test_slow_calls.py",)
_RAMP = ("tests/breaker/test_ramp_gate.py",)

_COUNTING: tuple[Broken, ...] = (
    (
        "no report carries successes",
        _VIEW,
        "return seen.successes.take(self.clock() - self.horizon)",
        "return []",
        (_CARRIED,),
    ),
    (
        "successes are carried for ever",
        _VIEW,
        "return seen.successes.take(self.clock() - self.horizon)",
        "return seen.successes.take(0.0)",
        (_CARRIED,),
    ),
    (
        "a probe's report carries successes",
        _VIEW,
        "!= permit.generation or permit.is_probe:",
        "!= permit.generation:",
        (_CARRIED,),
    ),
    (
        "successes of an earlier generation are carried",
        "breaker/seen.py",
        " and known.snapshot.generation == self.snapshot.generation:",
        ":",
        (_CARRIED,),
    ),
    (
        "a success at a score waits where no refresh comes",
        _VIEW,
        "policy.trip is not None and asked_at - seen.refreshed_at <= _HORIZON_REFRESHES * self.period",
        "policy.trip is not None",
        (_CARRIED,),
    ),
    (
        "a success is pending and sent",
        "breaker/unreported.py",
        "taken.append(self._times.popleft())",
        "taken.append(self._times[0])\n                break",
        (_PENDING,),
    ),
    (
        "a lost report is sent again",
        "breaker/success_reports.py",
        "            if was_not_applied(error):\n",
        "            if True:\n",
        (_CARRIED,),
    ),
    (
        "the score has no floor",
        _RULES,
        "return when(lowers, row.score - given.relief, 0.0)",
        "return row.score - given.relief",
        (TABLES, _CARRIED),
    ),
    (
        "a report counts its failure before its successes",
        _RULES,
        "_lowered(row, given, when) + given.evidence, row.score)",
        "_larger(row.score + given.evidence - given.relief, 0.0, when), row.score)",
        (TABLES, _CARRIED),
    ),
    (
        "a process adds more than its part",
        "breaker/own_score.py",
        "own.score = max(base, min(base + step, clip))",
        "own.score = base + step",
        (_CLIPPED, _REPORTERS),
    ),
    (
        "successes make room while another report is under way",
        "breaker/own_score.py",
        " and own.turn == contribution.turn",
        "",
        (_CLIPPED,),
    ),
    (
        "a slow call is a success",
        "breaker/slow_calls.py",
        "return Verdict.FAILURE if slow else verdict",
        "return verdict",
        (_SLOW,),
    ),
    ("a ramp starts at a whole call", "breaker/ramp_gate.py", "else self._draw())", "else 1.0)", (_RAMP,)),
)

TEXTS = tuple(Text(f"counting: {name}", path, old, new, tests) for name, path, old, new, tests in _COUNTING)
