"""One file for each question that is asked; the answer is a `Section`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.bench import Bench
from benchmarks.results import Section
from benchmarks.subjects import (
    clients,
    combining,
    fleet,
    growth,
    guarded_call,
    import_time,
    many_updates,
    neighbour,
    outage,
    record_failure,
    same_statement,
    store_operations,
    wire,
)

SUBJECTS: Mapping[str, Callable[[Bench], Section]] = {
    "guarded_call": guarded_call.run,
    "outage": outage.run,
    "record_failure": record_failure.run,
    "store_operations": store_operations.run,
    "clients": clients.run,
    "same_statement": same_statement.run,
    "combining": combining.run,
    "growth": growth.run,
    "many_updates": many_updates.run,
    "wire": wire.run,
    "neighbour": neighbour.run,
    "fleet": fleet.run,
    "import_time": import_time.run,
}
"""By the name they are chosen with, in the order they are run."""
