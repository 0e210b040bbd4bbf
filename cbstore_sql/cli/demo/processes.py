"""The child processes of the demo: their start, their messages and their end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any

from cbstore_sql.cli.demo.records import Message

_END_WITHIN = 3.0
"""Seconds that the parent waits for the children before SIGTERM, and again before SIGKILL."""


@dataclass(slots=True)
class Child:
    """A child process of the demo, with the parent's end of the pipe to the child.

    Attributes:
        name: The name of the process.
        process: The process.
        pipe: The parent's end of the pipe.
        present: Whether the pipe still works. ``False`` after the child has closed the child's end of the pipe.
    """

    name: str
    process: SpawnProcess
    pipe: Connection[Any, Message]
    present: bool = True

    def tell(self, order: bool | None) -> None:
        """Send an order to the child. If the child has ended, this method does nothing.

        Args:
            order: For the service: ``True`` (work), ``False`` (fail) or ``None`` (stop). For a worker: always ``None``;
                the first ``None`` means begin, the second means stop.
        """
        try:
            self.pipe.send(order)
        except ConnectionError:
            self.present = False


class ChildProcesses:
    """A context manager that starts the child processes of the demo and ends all of them when the block ends.

    Each child holds one end of a pipe. Only the parent process holds the opposite end. When the parent process ends for
    any reason, the operating system closes the pipes, and every child then ends by itself.
    """

    def __init__(self) -> None:
        self.children: list[Child] = []
        self._context = get_context("spawn")

    def __enter__(self) -> ChildProcesses:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for child in self.children:
            child.pipe.close()
        for end in (_let_be, SpawnProcess.terminate, SpawnProcess.kill):
            self._end(end)
        for child in self.children:
            child.process.close()

    def start(self, name: str, target: Callable[..., None], *arguments: Any) -> Child:
        """Start a child process with a new pipe to it.

        Args:
            name: The name of the process.
            target: The function that the child runs, as ``target(*arguments, pipe)``.
            *arguments: The arguments of ``target``. They must be picklable.

        Returns:
            The new child.
        """
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=target, args=(*arguments, theirs), name=name, daemon=True)
        with _interrupts_held():
            process.start()
        theirs.close()
        child = Child(name, process, ours)
        self.children.append(child)
        return child

    def listen(self, timeout: float) -> Iterator[tuple[Child, Message]]:
        """Yield the messages that have arrived from the children, each as a pair of the sender and the message.

        Args:
            timeout: The greatest number of seconds to wait for the first message. If no message arrives in this time,
                this method yields nothing.
        """
        pipes = {child.pipe: child for child in self.children if child.present}
        for pipe in wait(list(pipes), timeout) if pipes else ():
            child = pipes[pipe]  # type: ignore[index] # `wait` returns the objects it was given
            try:
                yield child, child.pipe.recv()
            except (EOFError, ConnectionError):
                child.present = False

    def _end(self, end: Callable[[SpawnProcess], None]) -> None:
        for child in self.children:
            if child.process.is_alive():
                end(child.process)
        deadline = time.monotonic() + _END_WITHIN
        for child in self.children:
            child.process.join(max(0.0, deadline - time.monotonic()))


def _let_be(process: SpawnProcess) -> None:
    pass


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Block SIGINT while a child starts, so that the child inherits the block.

    The terminal sends Ctrl-C to all processes of the group, but only the parent must react.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # A later start of the resource tracker would unblock the signal.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
