"""How much of everything one run does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The extent of a run.

    Attributes:
        label: What the results call it.
        rounds: How often the alternatives of one table take turns.
        calls: The most calls of one alternative in one turn.
        turn: When a turn ends at the latest, seconds.
        processes: The most processes that call at once; more clients are threads in them.
        clients: Numbers of clients.
        rows: Numbers of breakers that the clients share.
        threads: Numbers of threads of one process that share a store.
        load_rounds: How often the alternatives under load take turns.
        load_seconds: How long one turn under load takes.
        short_rounds: How often two take turns that are compared closely under load.
        short_seconds: How long one of those turns takes.
        breakers: Numbers of rows of the growing table.
        updates: Updates of one row.
        wire_calls: Calls whose round trips and WAL bytes are counted.
        pgbench: How long one run of pgbench is.
        pgbench_scale: How large its tables are, in 100,000 accounts.
        neighbour_rounds: How often pgbench runs beside each alternative.
        starts: How often an interpreter is started for each import.
        fleets: Numbers of hosts and of processes on each host.
        fleet_ways: The most ways of refreshing that are measured directly, and again behind PgBouncer.
        fleet_settling: How long a fleet runs before; a session that is idle counts its statements up to ten seconds
            later.
        fleet_seconds: How long the server is watched beside each fleet.
        fleet_noticing: How long the processes have, at most, to notice that a circuit has opened.
    """

    label: str
    rounds: int
    calls: int
    turn: float
    processes: int
    clients: tuple[int, ...]
    rows: tuple[int, ...]
    threads: tuple[int, ...]
    load_rounds: int
    load_seconds: float
    short_rounds: int
    short_seconds: float
    breakers: tuple[int, ...]
    updates: int
    wire_calls: int
    pgbench: str
    pgbench_scale: int
    neighbour_rounds: int
    starts: int
    fleets: tuple[tuple[int, int], ...]
    fleet_ways: int
    fleet_settling: float
    fleet_seconds: float
    fleet_noticing: float


FULL = Sizes(
    label="full",
    rounds=16,
    calls=250,
    turn=0.3,
    processes=8,
    clients=(1, 8, 32),
    rows=(1, 1000),
    threads=(8, 32),
    load_rounds=3,
    load_seconds=1.5,
    short_rounds=9,
    short_seconds=0.5,
    breakers=(10, 1_000, 100_000, 1_000_000),
    updates=1_000_000,
    wire_calls=200,
    pgbench="--time=3",
    pgbench_scale=10,
    neighbour_rounds=11,
    starts=12,
    fleets=((8, 8),),
    fleet_ways=5,
    fleet_settling=11.0,
    fleet_seconds=10.0,
    fleet_noticing=7.0,
)
QUICK = Sizes(
    label="quick",
    rounds=6,
    calls=100,
    turn=0.2,
    processes=8,
    clients=(1, 8, 32),
    rows=(1, 1000),
    threads=(8, 32),
    load_rounds=1,
    load_seconds=0.4,
    short_rounds=5,
    short_seconds=0.3,
    breakers=(10, 100_000),
    updates=20_000,
    wire_calls=50,
    pgbench="--time=3",
    pgbench_scale=2,
    neighbour_rounds=1,
    starts=5,
    fleets=((1, 8),),
    fleet_ways=5,
    fleet_settling=3.0,
    fleet_seconds=3.0,
    fleet_noticing=7.0,
)
TINY = Sizes(
    label="tiny",
    rounds=1,
    calls=4,
    turn=0.05,
    processes=2,
    clients=(1, 4),
    rows=(1, 3),
    threads=(2, 3),
    load_rounds=1,
    load_seconds=0.02,
    short_rounds=1,
    short_seconds=0.02,
    breakers=(10, 50),
    updates=40,
    wire_calls=2,
    pgbench="--transactions=10",
    pgbench_scale=1,
    neighbour_rounds=1,
    starts=1,
    fleets=((2, 2),),
    fleet_ways=2,
    fleet_settling=0.1,
    fleet_seconds=0.3,
    fleet_noticing=0.3,
)
"""Proves that everything runs; its figures mean nothing."""

ALL_FLEETS = ((1, 8), (8, 8), (63, 16))
"""Fleets of 8, 64 and 1,008 processes, which take too long for every run."""
