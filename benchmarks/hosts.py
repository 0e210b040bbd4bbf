"""A simulated fleet: breaker objects with their own stores and background threads stand for processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import make_url

from benchmarks.guards import HONEST, answer
from benchmarks.workers import Work
from cbstore_sql import CircuitBreaker, CircuitBreakerOpenError, SqlStore, StoreError

BREAKERS = ("payments", "search", "mail")
APPLICATION = "fleet"
"""The name that all sessions of the fleet have in ``pg_stat_activity``."""

_CALL_EVERY = 0.05
_CONNECT_TIMEOUT = 60
_START_SECONDS = 120.0


@dataclass
class Found:
    """What the processes of some hosts saw.

    Attributes:
        processor: The processor time of all of them, in seconds for each second.
        calls: How many guarded calls they made.
        failed: How many of these calls raised an error of the store.
        noticed: For each process that had a call refused: the moment of the first, on the clock of `time.monotonic`.
    """

    processor: float = 0.0
    calls: int = 0
    failed: int = 0
    noticed: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Hosts:
    """Makes guarded calls through the breakers of some simulated hosts until told to stop.

    Attributes:
        url: The SQLAlchemy URL of the database.
        namespace: Where the breakers are.
        hosts: The numbers of the hosts.
        processes: The number of processes of each host.
        options: More arguments for each breaker object.
    """

    url: str = field(repr=False)
    namespace: str
    hosts: tuple[int, ...]
    processes: int
    options: Mapping[str, Any]

    @contextmanager
    def begin(self) -> Iterator[Work[Found]]:
        """See `Job`."""
        with ExitStack() as stack:
            processes = [self.process(host) for host in self.hosts for _ in range(self.processes)]
            breakers = [stack.enter_context(process) for process in processes]
            for breaker in breakers:
                _reach_server(breaker)
            yield lambda stopped: _work(breakers, stopped)

    @contextmanager
    def process(self, host: int) -> Iterator[CircuitBreaker]:
        """Open the breaker object that stands for one process of a host."""
        # Processes share reads only with the same URL, so this setting tells the hosts apart. It never reaches the
        # server: a pooler would have to change the sessions of the server for hosts that differ in a setting there.
        settings = {"application_name": APPLICATION, "connect_timeout": str(_CONNECT_TIMEOUT + host)}
        url = make_url(self.url).update_query_dict(settings).render_as_string(hide_password=False)
        with (
            SqlStore(url, namespace=self.namespace) as store,
            CircuitBreaker(store, **{**HONEST, **self.options}) as breaker,
        ):
            yield breaker


def _work(breakers: list[CircuitBreaker], stopped: Callable[[], bool]) -> Found:
    found, refused = Found(), dict[int, float]()
    began, used = time.monotonic(), time.process_time()
    while not stopped():
        for number, breaker in enumerate(breakers):
            if _call_each(breaker, found):
                refused.setdefault(number, time.monotonic())
        time.sleep(_CALL_EVERY)
    found.processor = (time.process_time() - used) / (time.monotonic() - began)
    found.noticed = list(refused.values())
    return found


def _reach_server(breaker: CircuitBreaker) -> None:
    """Make calls until the store answers one: a server that hundreds of processes reach at once may be late."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        found = Found()
        _call_each(breaker, found)
        if not found.failed:
            return
        time.sleep(_CALL_EVERY)
    raise TimeoutError("a process of the fleet did not reach the server")


def _call_each(breaker: CircuitBreaker, found: Found) -> bool:
    """Make a call of each breaker, and return whether one was refused."""
    refused = False
    for name in BREAKERS:
        found.calls += 1
        try:
            breaker.call(name, answer)
        except CircuitBreakerOpenError:
            refused = True
        except StoreError:
            found.failed += 1
    return refused
