from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from benchmarks.bench import Bench
from benchmarks.results import Section
from benchmarks.servers import Servers, prepared
from benchmarks.sizes import TINY
from benchmarks.subjects import SUBJECTS
from benchmarks.workers import hired


@pytest.fixture(scope="session")
def servers(postgres_url: str, redis_url: str) -> Iterator[Servers]:
    with prepared(postgres_url, redis_url) as servers:
        yield servers


@pytest.fixture(scope="session")
def section(servers: Servers) -> Iterator[Callable[[str], Section]]:
    """Run each subject once, when a test needs its result for the first time."""
    found: dict[str, Section] = {}
    with hired(TINY.processes) as crew:

        def run(name: str) -> Section:
            if name not in found:
                found[name] = SUBJECTS[name](Bench(servers, TINY, crew))
            return found[name]

        yield run
