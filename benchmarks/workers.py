"""Processes that call at the same time."""

from __future__ import annotations

import multiprocessing as mp
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from multiprocessing.connection import Connection
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Work = Callable[[Callable[[], bool]], T]
"""Is given a function that tells whether to stop, and returns what it found."""

_READY, _GO, _STOP = "ready", "go", "stop"
_PATIENCE = 1200.0


class Job(Protocol[T_co]):
    """What a worker is sent; it can be pickled."""

    def begin(self) -> AbstractContextManager[Work[T_co]]:
        """Connect, and give back what is then done by all at once."""


class Crew:
    """Processes that wait for jobs.

    Args:
        pipes: One to each of them.
    """

    def __init__(self, pipes: list[Connection]) -> None:
        self._pipes = pipes

    def finish(self, job: Job[T], processes: int) -> list[T]:
        """Have some processes do a job that ends by itself, and return what each of them found."""
        return [_hear(pipe) for pipe in self._start([job] * processes)]

    @contextmanager
    def at_work(self, job: Job[object], processes: int) -> Iterator[None]:
        """Have some processes do a job for the length of the block."""
        with self.each_at_work([job] * processes):
            yield

    @contextmanager
    def each_at_work(self, jobs: Sequence[Job[T]]) -> Iterator[list[T]]:
        """Have a process do each of some jobs for the length of the block.

        Yields:
            A list that is empty during the block. After the block it contains what each process found.
        """
        team, found = self._start(jobs), list[T]()
        yield found
        for pipe in team:
            pipe.send(_STOP)
        found.extend(_hear(pipe) for pipe in team)

    def _start(self, jobs: Sequence[Job[Any]]) -> list[Connection]:
        team = self._pipes[: len(jobs)]
        for pipe, job in zip(team, jobs, strict=True):
            pipe.send(job)
        for pipe in team:
            _hear(pipe)
        for pipe in team:
            pipe.send(_GO)
        return team


@contextmanager
def hired(processes: int) -> Iterator[Crew]:
    """Start some processes, for the length of the block."""
    # Forked ones would share the connections of this one.
    context = mp.get_context("spawn")
    with ExitStack() as stack:
        pipes = []
        for _ in range(processes):
            ours, theirs = context.Pipe()
            worker = context.Process(target=_work, args=(theirs,), daemon=True)
            worker.start()
            theirs.close()
            stack.callback(worker.join)
            pipes.append(ours)
        for pipe in pipes:
            stack.callback(pipe.close)
        yield Crew(pipes)


def _hear(pipe: Connection) -> Any:
    if not pipe.poll(_PATIENCE):
        raise TimeoutError("a worker does not answer")
    answer = pipe.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _work(pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        if job != _STOP:
            pipe.send(_carry_out(job, pipe))


def _carry_out(job: Job[object], pipe: Connection) -> object:
    try:
        with job.begin() as work:
            pipe.send(_READY)
            pipe.recv()
            return work(pipe.poll)
    except Exception as error:  # noqa: BLE001 - it is raised where the job came from
        return error
