"""Trying mutants: each in a copy of the repository, its tests in a process forked from one that has imported much.

Most of the time of a short test run is spent on imports, and the imported libraries have no mutants.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import traceback
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from time import monotonic

import alembic.command  # noqa: F401 - for the processes forked from here
import hypothesis  # noqa: F401
import psycopg  # noqa: F401
import pytest
import redis.asyncio  # noqa: F401
import sqlalchemy.ext.asyncio  # noqa: F401

from tests.servers import choice
from tests.system.mutation.mutant import Mutant, Selection

ROOT = Path(__file__).parents[3]
COPIED = ("cbstore_sql", "migrations", "dashboards", "docs", "tests", "pyproject.toml", "alembic.ini")
WORKERS = os.cpu_count() or 1

_OURS = frozenset({"cbstore_sql", "migrations", "tests", "benchmarks", "examples"})

# A mutant may wait for ever, so a run that takes much longer than with the correct code counts as a detection.
_LONGEST = 3
_SLACK = 30

Told = Callable[[Mutant, bool], object]


def try_all(mutants: Sequence[Mutant], tell: Told) -> list[Mutant]:
    """Try mutants, and return the mutants that no test detected.

    Args:
        mutants: The mutants to try.
        tell: A function that receives each mutant and whether it survived.

    Raises:
        RuntimeError: A test fails with the correct code, so it would detect every mutant.
    """
    with tempfile.TemporaryDirectory() as scratch, _servers():
        sound = _Sound(Path(scratch) / "sound")
        for mutant in mutants:
            sound.limit(mutant.tests[0])
        copies = [Path(scratch) / str(number) for number in range(min(WORKERS, len(mutants)))]
        for copy in copies:
            shutil.copytree(sound.copy, copy)
        survivors = _Trial(mutants, copies, sound, tell).survivors()
        # If a server had ended meanwhile, every mutant would seem to be detected.
        sound.run(mutants[-1].tests[0])
    return survivors


@contextlib.contextmanager
def _servers() -> Iterator[None]:
    """Start one server of each kind for all runs. Each run uses a separate database and separate keys."""
    with contextlib.ExitStack() as stack:
        for product, server in choice.choose(os.environ).items():
            os.environ[f"{product.variable}_URL"] = stack.enter_context(server.start())
        yield


class _Sound:
    """The correct code. Every selection of tests runs on it before it runs on a mutant.

    Attributes:
        copy: Its directory, with the compiled files of the runs.
    """

    def __init__(self, copy: Path) -> None:
        self.copy = copy
        self._limits: dict[Selection, int] = {}
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, copy / name)

    def limit(self, selection: Selection) -> int:
        """Return the time limit of a selection of tests, in seconds."""
        if selection not in self._limits:
            began = monotonic()
            self.run(selection)
            self._limits[selection] = int(_LONGEST * (monotonic() - began)) + _SLACK
        return self._limits[selection]

    def run(self, selection: Selection) -> None:
        _, status = os.waitpid(_start(selection, self.copy, 0), 0)
        if status:
            log = _log(self.copy).read_text(errors="replace")
            raise RuntimeError(f"{' '.join(selection)} fails on the sound code:\n{log[-3000:]}")


class _Trial:
    """The mutants that are being tried, one at a time in each copy."""

    def __init__(self, mutants: Iterable[Mutant], copies: Iterable[Path], sound: _Sound, tell: Told) -> None:
        self._waiting = deque(mutants)
        self._free = list(copies)
        self._sound = sound
        self._tell = tell
        self._running: dict[int, tuple[Mutant, int, Path]] = {}
        self._survivors: list[Mutant] = []

    def survivors(self) -> list[Mutant]:
        try:
            while self._waiting or self._running:
                while self._waiting and self._free:
                    self._break(self._waiting.popleft(), self._free.pop())
                self._take(*os.wait())
        finally:
            for process in self._running:
                _end(process)
        return self._survivors

    def _break(self, mutant: Mutant, copy: Path) -> None:
        path = copy / mutant.path
        # The copy keeps its times, so that its compiled file is used again after the mutant.
        path.rename(_aside(path))
        path.write_text(mutant.broken(), encoding="utf-8")
        self._ask(mutant, 0, copy)

    def _ask(self, mutant: Mutant, turn: int, copy: Path) -> None:
        selection = mutant.tests[turn]
        self._running[_start(selection, copy, self._sound.limit(selection))] = mutant, turn, copy

    def _take(self, process: int, status: int) -> None:
        if process not in self._running:
            return
        mutant, turn, copy = self._running.pop(process)
        _end(process)
        if status == 0 and turn + 1 < len(mutant.tests):
            self._ask(mutant, turn + 1, copy)
            return
        _aside(copy / mutant.path).replace(copy / mutant.path)
        self._free.append(copy)
        if status == 0:
            self._survivors.append(mutant)
        self._tell(mutant, status == 0)


def _start(selection: Selection, copy: Path, seconds: int) -> int:
    """Run tests in a separate process for some seconds at most (0: without a limit), and return its process id."""
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        code = 70
        try:
            os.setsid()
            signal.alarm(seconds)
            # A compiled mutant could be mistaken for another mutant of the same size.
            sys.dont_write_bytecode = bool(seconds)
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1" if seconds else ""
            code = _run(selection, copy)
        except BaseException:  # noqa: BLE001 - the process ends here either way
            traceback.print_exc()
        finally:
            os._exit(code)
    return process


def _run(selection: Selection, copy: Path) -> int:
    with _log(copy).open("wb") as log:
        for number in (1, 2):
            os.dup2(log.fileno(), number)
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)
    sys.path.insert(0, str(copy))
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]
    # Processes that tests spawn would import it again.
    sys.modules["__main__"] = types.ModuleType("__main__")
    options = ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    code = pytest.main([*options, *selection])
    sys.stdout.flush()
    return int(code)


def _aside(path: Path) -> Path:
    return path.with_suffix(".sound")


def _log(copy: Path) -> Path:
    return copy / "log"


def _end(process: int) -> None:
    """End the remaining processes of a run."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
