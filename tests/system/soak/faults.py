"""The faults of the server and of the network, in an order that a seed decides."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from tests.system.faults.postgres import Postgres, StopMode
from tests.system.faults.proxy import FaultProxy, Mode

APPLICATION = "cbstore-soak"
SETTINGS = {"max_connections": 100}
SECONDS_OF_PEACE = (0.2, 1.0)
SECONDS_OF_A_FAULT = (0.1, 0.8)
DELAY = 0.05

Last = Callable[[], object]
"""Waits for as long as a fault lasts."""


@dataclass(frozen=True)
class Scene:
    """The servers and proxies of the faults."""

    server: Postgres
    proxy: FaultProxy


def end_sessions(scene: Scene, last: Last) -> None:
    scene.server.ask(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s", APPLICATION
    )


def reset(scene: Scene, last: Last) -> None:
    scene.proxy.cut()


def misbehave(mode: Mode, scene: Scene, last: Last) -> None:
    scene.proxy.switch(mode, DELAY)
    last()
    scene.proxy.heal()


def freeze(scene: Scene, last: Last) -> None:
    scene.server.freeze()
    last()
    scene.server.thaw()


def restart(mode: StopMode, scene: Scene, last: Last) -> None:
    scene.server.stop(mode)
    last()
    scene.server.start(SETTINGS)


def lock_rows(scene: Scene, last: Last) -> None:
    with scene.server.connect() as session, session.transaction():
        session.execute("SELECT 1 FROM cbstore.breakers FOR UPDATE")
        last()


FAULTS: dict[str, Callable[[Scene, Last], None]] = {
    "sessions ended": end_sessions,
    "connections reset": reset,
    "requests delayed": partial(misbehave, "delay"),
    "black hole": partial(misbehave, "hole"),
    "replies lost": partial(misbehave, "eat"),
    "connections refused": partial(misbehave, "refuse"),
    "server frozen": freeze,
    "rows locked": lock_rows,
    "server restarted, fast": partial(restart, "fast"),
    "server restarted, immediate": partial(restart, "immediate"),
}


class Turn(NamedTuple):
    """One fault of a schedule: the seconds before it, its name, and its duration in seconds."""

    peace: float
    fault: str
    seconds: float


def schedule(seed: int) -> Iterator[Turn]:
    """Yield the faults of a seed without end. Every fault comes once before a fault is repeated."""
    rng = random.Random(seed)
    while True:
        for fault in rng.sample(list(FAULTS), len(FAULTS)):
            yield Turn(rng.uniform(*SECONDS_OF_PEACE), fault, rng.uniform(*SECONDS_OF_A_FAULT))


class Faults:
    """Causes the faults of a schedule in a thread during a block. After the block, the scene is repaired.

    Attributes:
        made: How often each fault was caused.
        error: The error that ended the thread, or ``None``.
    """

    def __init__(self, scene: Scene, seed: int) -> None:
        self.made: Counter[str] = Counter()
        self.error: Exception | None = None
        self._scene = scene
        self._slots = schedule(seed)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Faults:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for turn in self._slots:
                if self._over.wait(turn.peace):
                    return
                FAULTS[turn.fault](self._scene, partial(self._over.wait, turn.seconds))
                self.made[turn.fault] += 1
        except Exception as error:  # noqa: BLE001 - the soak has to end and to tell of it
            self.error = error
