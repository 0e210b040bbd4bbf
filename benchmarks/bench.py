"""What every subject is given."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.servers import Servers
from benchmarks.sizes import Sizes
from benchmarks.workers import Crew


@dataclass(frozen=True)
class Bench:
    """One run.

    Attributes:
        servers: Where everybody keeps their breakers.
        sizes: How much of everything is done.
        crew: Processes for what is done by many at once.
    """

    servers: Servers
    sizes: Sizes
    crew: Crew
