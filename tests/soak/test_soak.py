"""A soak of some seconds; ``make soak`` makes one of ten minutes."""

from __future__ import annotations

from itertools import islice

from tests.faults.postgres import cluster
from tests.soak.__main__ import table
from tests.soak.faults import FAULTS, schedule
from tests.soak.run import soak
from tests.soak.usage import MEBIBYTE, Usage, growth

SECONDS = 5.0
SEED = 5


def test_nothing_is_lost_and_nothing_grows_while_faults_are_made() -> None:
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


def test_what_grows_is_told() -> None:
    flat = [Usage(3, 2, 10 + round_ % 2, 50 * MEBIBYTE) for round_ in range(40)]
    assert growth(flat) == []
    assert growth([reading._replace(files=round_) for round_, reading in enumerate(flat)]) == [
        "files grew from 17 to 32"
    ]
    assert growth([reading._replace(memory=round_ * MEBIBYTE) for round_, reading in enumerate(flat)]) != []
    assert growth([reading._replace(threads=round_ // 4) for round_, reading in enumerate(flat)]) != []
