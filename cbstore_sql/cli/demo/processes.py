"""The demo's child processes: start them, receive their messages, and always end them."""

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
"""Seconds that the children get to end by themselves, and again after SIGTERM."""


@dataclass(slots=True)
class Member:
    """One child process and our end of its pipe; ``present`` until its pipe closes."""

    name: str
    process: SpawnProcess
    pipe: Connection[Any, Message]
    present: bool = True

    def tell(self, order: bool | None) -> None:
        """Send an order; a child that has ended does not get it."""
        try:
            self.pipe.send(order)
        except ConnectionError:
            self.present = False


class Crew:
    """All children.

    Each holds one end of a pipe, and only this process holds the other end. However this process ends, the pipes close
    and every child ends by itself.
    """

    def __init__(self) -> None:
        self.members: list[Member] = []
        self._context = get_context("spawn")

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for member in self.members:
            member.pipe.close()
        for end in (_let_be, SpawnProcess.terminate, SpawnProcess.kill):
            self._end(end)
        for member in self.members:
            member.process.close()

    def start(self, name: str, target: Callable[..., None], *arguments: Any) -> Member:
        """Start a child that runs ``target(*arguments, pipe)``."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=target, args=(*arguments, theirs), name=name, daemon=True)
        with _interrupts_held():
            process.start()
        theirs.close()
        member = Member(name, process, ours)
        self.members.append(member)
        return member

    def listen(self, timeout: float) -> Iterator[tuple[Member, Message]]:
        """Yield the messages of the children.

        Args:
            timeout: The longest to wait for the first message, seconds.
        """
        pipes = {member.pipe: member for member in self.members if member.present}
        for pipe in wait(list(pipes), timeout) if pipes else ():
            member = pipes[pipe]  # type: ignore[index] # `wait` returns the objects it was given
            try:
                yield member, member.pipe.recv()
            except (EOFError, ConnectionError):
                member.present = False

    def _end(self, end: Callable[[SpawnProcess], None]) -> None:
        for member in self.members:
            if member.process.is_alive():
                end(member.process)
        deadline = time.monotonic() + _END_WITHIN
        for member in self.members:
            member.process.join(max(0.0, deadline - time.monotonic()))


def _let_be(process: SpawnProcess) -> None:
    pass


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start a child with Ctrl-C blocked: the terminal sends it to the whole group, but only the parent acts."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Starting the tracker later would unblock the signal again.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
