"""Tests with a soak of some seconds. ``make soak`` runs one of ten minutes."""

from __future__ import annotations

from itertools import islice

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Permit, Row, Snapshot
from tests.system.faults.postgres import cluster
from tests.system.linearizability.history import READ, Call
from tests.system.soak.__main__ import table
from tests.system.soak.faults import FAULTS, schedule
from tests.system.soak.judging import MAX_SECONDS, Judge
from tests.system.soak.plan import Report
from tests.system.soak.run import soak
from tests.system.soak.usage import MEBIBYTE, Usage, growth

SECONDS = 5.0
SEED = 5


def test_no_call_is_lost_and_no_resource_grows_during_faults() -> None:
    with cluster() as servers:
        verdict = soak(servers, SECONDS, SEED)
    told = "\n".join(table(verdict))
    assert verdict.judge.wrongs == [], told
    assert verdict.judge.undecided == 0, told
    assert sum(verdict.faults.values()) > 0, told
    assert verdict.judge.calls["checked"] > 0, told
    assert verdict.judge.guarded["answered"] > 0, told


def test_a_seed_repeats_the_schedule_of_faults() -> None:
    one_of_each = len(FAULTS)
    turns = list(islice(schedule(SEED), 2 * one_of_each))
    assert turns == list(islice(schedule(SEED), 2 * one_of_each))
    assert turns != list(islice(schedule(SEED + 1), 2 * one_of_each))
    assert {turn.fault for turn in turns[:one_of_each]} == FAULTS.keys()


def test_growth_names_the_resources_that_grow() -> None:
    flat = [Usage(3, 2, 10 + round_ % 2, 50 * MEBIBYTE) for round_ in range(40)]
    assert growth(flat) == []
    assert growth([reading._replace(files=round_) for round_, reading in enumerate(flat)]) == [
        "files grew from 17 to 32"
    ]
    assert growth([reading._replace(memory=round_ * MEBIBYTE) for round_, reading in enumerate(flat)]) != []
    assert growth([reading._replace(threads=round_ // 4) for round_, reading in enumerate(flat)]) != []


def test_the_judge_reports_impossible_effects_unclaimed_probes_and_hung_calls() -> None:
    """The cases are an effect without a cause, a probe without a claim, and a call that hung."""
    out_of_nothing = Snapshot.of("0-now-0", Row(failure_count=1, last_failure_time=1.0), as_of=2.0)
    read = Call(0, Command(READ, "0-now-0", {"now": 2.0}), 0.0, 1.0, 2.0, 3.0, out_of_nothing)
    judge = Judge(1, lambda names: [])
    judge.take(Report("bare 0", 0, calls=[read], probes=[Permit("0-now-0", 1, "me")], slowest=2 * MAX_SECONDS))
    judge.conclude()
    [counted, violation, probe, hung] = judge.wrongs
    assert "more were counted than acknowledged" in counted
    assert "none of these can follow" in violation
    assert "no claim has won" in probe
    assert "beyond its dependency" in hung
